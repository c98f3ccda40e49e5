"""Batches of a `mmtf` split for PyTorch: whole batches gathered by index, then a one-hot text as in the authors' release."""

from __future__ import annotations

import torch
from torch.nn import functional
from torch.utils import data

from mmtf.data.dataset import Split

NUM_CLASSES = 71


class Batches(data.Dataset):
    """The examples of a split, a whole batch at a time: one gather per modality instead of one per example."""

    def __init__(self, split: Split):
        self._split = split

    def __len__(self) -> int:
        return len(self._split)

    def __getitem__(self, index: list[int]) -> dict[str, torch.Tensor]:
        return to_torch(self._split.take(index))


def loader(split: Split, batch_size: int, seed: int) -> data.DataLoader:
    """Shuffled full batches of one epoch, in the process that trains."""
    order = data.RandomSampler(split.label, generator=torch.Generator().manual_seed(seed))
    return data.DataLoader(Batches(split), sampler=data.BatchSampler(order, batch_size, drop_last=True), batch_size=None)


def to_torch(values) -> dict[str, torch.Tensor]:
    """uint8 images `[B, H, W, C]` -> floats `[B, C, H, W]` in 0..1; character classes -> one-hot."""
    images = {name: torch.from_numpy(values[name]).permute(0, 3, 1, 2) for name in ("digit", "scene")}
    word = functional.one_hot(torch.from_numpy(values["word"]).long(), NUM_CLASSES)
    return {name: image.float().div(255.0) for name, image in images.items()} | {"word": word.float()}
