"""The networks of [S] Tables 5 to 7 in PyTorch, without the encoders' last layers; `mmtf.networks` has the same in Keras."""

from __future__ import annotations

from torch import nn

CODE = 20  # 16 shared and 4 private
NUM_CLASSES = 71


def digit_trunk() -> nn.Module:
    """Return table 5: `[B, 1, 28, 28]` -> `[B, 400]`."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 400), nn.ReLU())


def digit_decoder() -> nn.Module:
    """Return table 5: `[B, 20]` -> `[B, 1, 28, 28]`."""
    return nn.Sequential(nn.Linear(CODE, 400), nn.ReLU(), nn.Linear(400, 784), nn.Sigmoid(), nn.Unflatten(1, (1, 28, 28)))


def scene_trunk() -> nn.Module:
    """Return table 6: `[B, 3, 32, 32]` -> `[B, 128]`."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 4, 2, 1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 4, 2, 1),
        nn.ReLU(),
        nn.Conv2d(64, 64, 4, 2, 1),
        nn.ReLU(),
        nn.Conv2d(64, 128, 4, 2, 0),
        nn.ReLU(),
        nn.Flatten(),
    )


def scene_decoder() -> nn.Module:
    """Return table 6: `[B, 20]` -> `[B, 3, 32, 32]`."""
    return nn.Sequential(
        nn.Linear(CODE, 128),
        nn.ReLU(),
        nn.Unflatten(1, (128, 1, 1)),
        nn.ConvTranspose2d(128, 64, 4, 2, 0),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 64, 4, 2, 1),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 32, 4, 2, 1),
        nn.ReLU(),
        nn.ConvTranspose2d(32, 3, 4, 2, 1),
    )


class Transposed(nn.Module):
    """`[B, T, K]` <-> `[B, K, T]`: PyTorch's convolutions want the classes of the text in front."""

    def forward(self, x):
        return x.transpose(1, 2)


def word_trunk() -> nn.Module:
    """Return table 7: one-hot `[B, 8, 71]` -> `[B, 128]`."""
    return nn.Sequential(
        Transposed(),
        nn.Conv1d(NUM_CLASSES, 128, 1),
        nn.ReLU(),
        nn.Conv1d(128, 128, 4, 2, 1),
        nn.ReLU(),
        nn.Conv1d(128, 128, 4, 2, 0),
        nn.ReLU(),
        nn.Flatten(),
    )


def word_decoder() -> nn.Module:
    """Return table 7: `[B, 20]` -> logits `[B, 8, 71]`."""
    return nn.Sequential(
        nn.Linear(CODE, 128),
        nn.ReLU(),
        nn.Unflatten(1, (128, 1)),
        nn.ConvTranspose1d(128, 128, 4, 1, 0),
        nn.ReLU(),
        nn.ConvTranspose1d(128, 128, 4, 2, 1),
        nn.ReLU(),
        nn.Conv1d(128, NUM_CLASSES, 1),
        Transposed(),
    )
