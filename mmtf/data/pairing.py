"""Which examples belong together: seeded pairing of unimodal pools by class.

Pairings come pairing by pairing: element `p * N + i` is the p-th pairing of anchor example i. The first N elements
therefore hold every anchor once in the pool's own order, and a short prefix is a fair sample of the classes.

[S]: Sutter, Daunhawer, Vogt 2020. [C]: Chen, Zhu 2022.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mmtf.config import DataConfig
from mmtf.data.dataset import Split
from mmtf.errors import UserError


def pair_by_class(
    labels: Mapping[str, np.ndarray], pairings: int, seed: int | np.random.Generator
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Pair every example of the first pool `pairings` times with examples of its class from each other pool.

    Within a class the partners are drawn from permutations of the class's examples, a fresh one when one is used up:
    all are used equally often, give or take one. [S] 5.2 uses 20 pairings, [C] 30. Departure from the release of [S],
    which cuts each class to the size of its smallest pool: here no example of the first pool is left out, nor of
    another pool as long as the draws suffice.

    Args:
      labels: per modality, the class of each example of its pool: integers `[n_j]`. The first is the anchor, N = n_0.
      pairings: partners per anchor example and modality, 1 or more.
      seed: of the permutations; or a generator, which is advanced.

    Returns:
      Rows into each modality's pool, int64 `[N * pairings]`, and their label, int64 `[N * pairings]`.

    Raises:
      UserError: (a ValueError) a class that only some of the pools have.
      ValueError: pairings < 1, or labels that are not integers `[n]`.
    """
    labels = {name: _checked(label, name) for name, label in labels.items()}
    _check_pairings(pairings)
    _check_same_classes(labels)
    rng = np.random.default_rng(seed)
    anchor, *others = labels
    rows = {anchor: np.tile(np.arange(len(labels[anchor])), pairings)}
    for name in others:
        rows[name] = _partners(labels[anchor], labels[name], pairings, rng)
    return rows, np.tile(labels[anchor], pairings)


def pair_with_others(label: np.ndarray, pairings: int, seed: int | np.random.Generator) -> np.ndarray:
    """Pair every example of one pool `pairings` times with another example of its class, never with itself.

    In each pairing the examples of a class stand in a random circle, and each one's partner is its neighbour: every
    example is a partner exactly once per pairing.

    Args:
      label: class of each example, integers `[N]`.
      pairings: partners per example, 1 or more. An example may meet the same partner in two pairings.
      seed: of the circles; or a generator, which is advanced.

    Returns:
      Row of the partner, int64 `[N * pairings]`, in the order of `pair_by_class`.

    Raises:
      ValueError: pairings < 1, labels that are not integers `[N]`, or a class of one example.
    """
    label = _checked(label, "label")
    _check_pairings(pairings)
    rng = np.random.default_rng(seed)
    partner = np.empty((pairings, len(label)), np.int64)
    for c in np.unique(label):
        members = np.flatnonzero(label == c)
        if len(members) < 2:
            raise ValueError(f"Class {c} has one example, so there is no other to pair it with; drop it or add another.")
        circle = rng.permuted(np.tile(members, (pairings, 1)), axis=1)
        np.put_along_axis(partner, circle, np.roll(circle, 1, axis=1), axis=1)
    return partner.ravel()


def keep_fraction(label: np.ndarray, fraction: float, seed: int | np.random.Generator) -> np.ndarray:
    """Rows of a fixed share of each class, ascending int64: at least one example of every class, all for a fraction of 1.

    [C]'s "20% of the data" keeps the first examples of each class; here they are drawn. For one seed a smaller fraction is
    a part of a larger one.

    Raises:
      ValueError: a fraction that is not in (0, 1], or labels that are not integers `[n]`.
    """
    label = _checked(label, "label")
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction must be above 0 and at most 1, not {fraction}.")
    order = np.random.default_rng(seed).permutation(len(label))
    members = [order[label[order] == c] for c in np.unique(label)]
    return np.sort(np.concatenate([m[: max(1, round(fraction * len(m)))] for m in members]))


def paired_splits(
    train: Mapping[str, tuple[np.ndarray, np.ndarray]],
    test: Mapping[str, tuple[np.ndarray, np.ndarray]],
    config: DataConfig,
    *,
    pairings: int,
    test_pairings: int,
    whole: Sequence[str] = (),
) -> dict[str, Split]:
    """Both splits of unimodal pools, paired by class, with the fraction and the unpaired values that the config asks for.

    The test split is always the same for a seed: neither fraction nor unpaired values touch it.

    Args:
      train, test: pools as for `paired_split`.
      pairings, test_pairings: partners of each anchor.
      whole: as for `paired_split`.

    Returns:
      `{"train": ..., "test": ...}`.

    Raises:
      UserError: a class that only some of a part's pools have.
    """
    for part, pools in (("training", train), ("test", test)):
        _check_same_classes({name: label for name, (_, label) in pools.items()}, f"The {part} part: ")
    train_rng, test_rng = (np.random.default_rng([config.data_seed, part]) for part in range(2))
    options = {"fraction": config.data_fraction, "unpaired": config.unpaired_pools, "whole": whole}
    return {
        "train": paired_split(train, pairings, train_rng, **options),
        "test": paired_split(test, test_pairings, test_rng),
    }


def paired_split(
    pools: Mapping[str, tuple[np.ndarray, np.ndarray]],
    pairings: int,
    rng: np.random.Generator,
    *,
    fraction: float = 1.0,
    unpaired: bool = False,
    whole: Sequence[str] = (),
) -> Split:
    """A split of unimodal pools, paired by class; the pools stay whole, whatever the fraction.

    Args:
      pools: per modality, values `[n_j, ...]` and classes `[n_j]`; the first is the anchor.
      pairings: as for `pair_by_class`.
      rng: of the fraction and the pairings.
      fraction: share of each class, in every pool, that takes part in pairs.
      unpaired: append every value of every pool as an example that has this modality alone, for learning from unpaired data.
      whole: pools that the fraction leaves as they are, such as made-up words.

    Raises:
      ValueError: as `pair_by_class` and `keep_fraction`.
    """
    kept = {n: keep_fraction(label, 1.0 if n in whole else fraction, rng) for n, (_, label) in pools.items()}
    rows, label = pair_by_class({n: pools[n][1][kept[n]] for n in pools}, pairings, rng)
    paired = Split({n: values for n, (values, _) in pools.items()}, {n: kept[n][rows[n]] for n in pools}, label)
    return with_single_values(paired, {n: label for n, (_, label) in pools.items()}) if unpaired else paired


def with_single_values(paired: Split, labels: Mapping[str, np.ndarray]) -> Split:
    """Return the split, and behind it every value of every pool once more by itself: all other modalities of it are missing.

    Args:
      paired: examples that have all modalities.
      labels: per modality, the class of each value of its pool, `[n_j]`.
    """
    rows, mask = {}, {}
    counts = {name: len(label) for name, label in labels.items()}
    for name in paired.rows:
        # What stands for a missing value is never looked at: row 0 does.
        own = [np.arange(count) if other == name else np.zeros(count, np.int64) for other, count in counts.items()]
        rows[name] = np.concatenate([paired.rows[name], *own])
        is_own = [np.full(count, other == name) for other, count in counts.items()]
        mask[name] = np.concatenate([np.ones(len(paired), bool), *is_own])
    return Split(paired.pools, rows, np.concatenate([paired.label, *labels.values()]), mask)


def _partners(anchor_label, pool_label, pairings, rng) -> np.ndarray:
    """Return rows of the pool for each pairing of each anchor, of the anchor's class, `[pairings * N]`."""
    rows = np.empty((pairings, len(anchor_label)), np.int64)
    for c in np.unique(anchor_label):
        anchors = np.flatnonzero(anchor_label == c)
        drawn = _cycled(np.flatnonzero(pool_label == c), len(anchors) * pairings, rng)
        # Consecutive draws go to one anchor: its partners differ from each other, unless one permutation ends among them.
        rows[:, anchors] = drawn.reshape(len(anchors), pairings).T
    return rows.ravel()


def _cycled(rows, count, rng) -> np.ndarray:
    """`count` draws from rows, by one permutation after another."""
    rounds = -(-count // len(rows))
    return rng.permuted(np.tile(rows, (rounds, 1)), axis=1).ravel()[:count]


def _checked(label, name) -> np.ndarray:
    """Return the label as int64 [n]."""
    label = np.asarray(label)
    if label.ndim != 1 or not np.issubdtype(label.dtype, np.integer) or not len(label):
        raise ValueError(f"{name}: labels must be integers [n], n > 0, not {label.dtype} of shape {label.shape}.")
    return label.astype(np.int64)


def _check_pairings(pairings):
    if pairings < 1:
        raise ValueError(f"pairings must be 1 or more, not {pairings}.")


def _check_same_classes(labels, where=""):
    classes = {name: set(np.unique(label).tolist()) for name, label in labels.items()}
    for name, own in classes.items():
        missing = set.union(*classes.values()) - own
        if missing:
            raise UserError(
                f"{where}{name} has no example of class {min(missing)}, which another modality has; "
                f"give every modality the same classes, or drop that class's examples."
            )
