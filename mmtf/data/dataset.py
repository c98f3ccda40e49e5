"""What every data set returns: pools of unimodal examples, and the rows that belong together."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from mmtf.modality import Modality


@dataclasses.dataclass(frozen=True)
class Split:
    """Paired examples, stored once per modality and paired by row number.

    Attributes:
      pools: per modality, its distinct values: uint8 images `[n_j, ...]` or int32 class indices `[n_j, ...]`.
      rows: per modality, the row of its pool that each example uses, `[N]` int64.
      label: class of each example, `[N]` int64.
      mask: per modality, whether each example has it, `[N]` bool; None where nothing is missing.
    """

    pools: Mapping[str, np.ndarray]
    rows: Mapping[str, np.ndarray]
    label: np.ndarray
    mask: Mapping[str, np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self.label)

    def take(self, index) -> dict[str, np.ndarray]:
        """Values of the examples at `index`, gathered: a dict of `[len(index), ...]` arrays."""
        return {name: pool[self.rows[name][index]] for name, pool in self.pools.items()}

    def at(self, index) -> Split:
        """The examples at `index`, sharing the pools."""
        rows = {name: rows[index] for name, rows in self.rows.items()}
        mask = self.mask and {name: mask[index] for name, mask in self.mask.items()}
        return dataclasses.replace(self, rows=rows, label=self.label[index], mask=mask)

    def has(self, names) -> np.ndarray:
        """Which examples have all the modalities named, `[N]` bool."""
        there = np.ones(len(self), bool)
        return there if self.mask is None else np.all([there, *(self.mask[name] for name in names)], axis=0)

    def first(self, count: int) -> Split:
        """The first `count` examples, or all if there are fewer."""
        return self.at(slice(count))


@dataclasses.dataclass(frozen=True)
class MultimodalData:
    """A data set: its modalities in order, a training and a test split, the names of its classes."""

    name: str
    modalities: tuple[Modality, ...]
    train: Split
    test: Split
    class_names: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(m.name for m in self.modalities)
