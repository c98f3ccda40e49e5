"""Batches of a `mmtf` split for PyTorch: whole batches gathered by index, then a one-hot text as in the authors' release."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
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
    """Return shuffled full batches of one epoch, in the process that trains."""
    order = data.RandomSampler(range(len(split)), generator=torch.Generator().manual_seed(seed))
    return data.DataLoader(Batches(split), sampler=data.BatchSampler(order, batch_size, drop_last=True), batch_size=None)


def phase_batches(split: Split, batch_size: int, seed: int) -> Iterator[list[tuple[dict, dict]]]:
    """For each step of a game, without end: for each of its two players a paired batch and one that is not paired.

    Unpaired are the distinct values of each modality that the split uses, each modality in an order of its own.
    """
    distinct = [Split({name: pool}, {name: np.unique(split.rows[name])}, None) for name, pool in split.pools.items()]
    streams = [endless(loader(each, batch_size, seed + place)) for place, each in enumerate([split, *distinct])]
    while True:
        yield [_turn(*(next(stream) for stream in streams)) for _ in range(2)]


def endless(epochs: Iterable) -> Iterator:
    while True:
        yield from epochs


def _turn(paired: dict, *single: dict) -> tuple[dict, dict]:
    return paired, {name: values for one in single for name, values in one.items()}


def to_torch(values) -> dict[str, torch.Tensor]:
    """uint8 images `[B, H, W, C]` -> floats `[B, C, H, W]` in 0..1; character classes `[B, 8]` -> one-hot."""
    return {name: _image(x) if x.ndim == 4 else _text(x) for name, x in values.items()}


def _image(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(x).permute(0, 3, 1, 2).float().div(255.0)


def _text(x: np.ndarray) -> torch.Tensor:
    return functional.one_hot(torch.from_numpy(x).long(), NUM_CLASSES).float()
