"""What every data set returns: pools of unimodal examples, and the rows that belong together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from mmtf.modality import Modality, check_subset, weighted_by_size


@dataclasses.dataclass(frozen=True)
class Split:
    """Paired examples, stored once per modality and paired by row number.

    Attributes:
      pools: per modality, its distinct values `[n_j, ...]`: uint8 images, integer class indices, or float32.
      rows: per modality, the row of its pool that each example uses, `[N]` int64.
      label: class of each example, `[N]` int64; or which of L attributes it has, `[N, L]` of 0 and 1; None where unknown.
      mask: per modality, whether each example has it, `[N]` bool; None where nothing is missing.
    """

    pools: Mapping[str, np.ndarray]
    rows: Mapping[str, np.ndarray]
    label: np.ndarray | None
    mask: Mapping[str, np.ndarray] | None = None

    def __len__(self) -> int:
        return len(next(iter(self.rows.values())))

    def take(self, index) -> dict[str, np.ndarray]:
        """Return values of the examples at `index`, gathered: a dict of `[len(index), ...]` arrays."""
        return {name: pool[self.rows[name][index]] for name, pool in self.pools.items()}

    def at(self, index) -> Split:
        """Return the examples at `index`, sharing the pools."""
        rows = {name: rows[index] for name, rows in self.rows.items()}
        mask = self.mask and {name: mask[index] for name, mask in self.mask.items()}
        label = None if self.label is None else self.label[index]
        return dataclasses.replace(self, rows=rows, label=label, mask=mask)

    def has(self, names) -> np.ndarray:
        """Return which examples have all the modalities named, `[N]` bool."""
        has_all = np.ones(len(self), bool)
        return has_all if self.mask is None else np.all([has_all, *(self.mask[name] for name in names)], axis=0)

    def only(self, names) -> Split:
        """Return the modalities named, and the examples that have one of them."""
        parts = {
            part: None if (values := getattr(self, part)) is None else {name: values[name] for name in names}
            for part in ("pools", "rows", "mask")
        }
        split = dataclasses.replace(self, **parts)
        return split if split.mask is None else split.at(np.any(list(split.mask.values()), axis=0))

    def first(self, count: int) -> Split:
        """Return the first `count` examples, or all if there are fewer."""
        return self.at(slice(count))


@dataclasses.dataclass(frozen=True)
class MultimodalData:
    """A data set, as every loader returns it.

    Attributes:
      name: what `--dataset` calls it.
      modalities: in order; it is the order of everything that follows.
      train, test: the two splits.
      class_names: names of the classes, or of the L attributes where labels are `[N, L]`; empty where there are no labels.
      sources: per unimodal set, where it came from and how many examples there were, for the record of a run. No paths.
      show: per modality whose values are neither pictures nor texts, what turns values into uint8 or float images
        `[n, H, W, C]` or into n strings, for people to look at.
      paired_by_class: whether examples are made by pairing single values of one class, so that any two of a class belong
        together.
    """

    name: str
    modalities: tuple[Modality, ...]
    train: Split
    test: Split
    class_names: tuple[str, ...]
    sources: Mapping[str, str] = dataclasses.field(default_factory=dict)
    show: Mapping[str, Callable[[np.ndarray], np.ndarray | list[str]]] = dataclasses.field(default_factory=dict)
    paired_by_class: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(m.name for m in self.modalities)

    def only(self, names: Iterable[str]) -> MultimodalData:
        """Return the data set with these modalities alone; an example that has none of them is left out.

        Raises:
          ValueError: a modality that is not there, or none.
        """
        names = check_subset(names, self.names)
        modalities = tuple(m for m in self.modalities if m.name in names)
        if self.modalities == weighted_by_size(self.modalities):
            modalities = weighted_by_size(modalities)
        show = {name: function for name, function in self.show.items() if name in names}
        splits = {"train": self.train.only(names), "test": self.test.only(names)}
        return dataclasses.replace(self, modalities=modalities, show=show, **splits)

    @property
    def multi_label(self) -> bool:
        """Whether an example has any number of L attributes, and not one class."""
        return self.train.label is not None and self.train.label.ndim == 2
