"""Which examples belong together: seeded pairing of unimodal pools by class.

Pairings come pairing by pairing: element `p * N + i` is the p-th pairing of anchor example i. The first N elements
therefore hold every anchor once in the pool's own order, and a short prefix is a fair sample of the classes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def pair_by_class(
    labels: Mapping[str, np.ndarray], pairings: int, seed: int | np.random.Generator
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Pairs every example of the first pool `pairings` times with examples of its class from each other pool.

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
      ValueError: pairings < 1, labels that are not integers `[n]`, or a class that only some of the pools have.
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
    """Pairs every example of one pool `pairings` times with another example of its class, never with itself.

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


def _partners(anchor_label, pool_label, pairings, rng) -> np.ndarray:
    """Rows of the pool for each pairing of each anchor, of the anchor's class, `[pairings * N]`."""
    rows = np.empty((pairings, len(anchor_label)), np.int64)
    for c in np.unique(anchor_label):
        anchors = np.flatnonzero(anchor_label == c)
        drawn = _cycled(np.flatnonzero(pool_label == c), len(anchors) * pairings, rng)
        # Consecutive draws go to one anchor, so that its partners differ from each other as long as the class has enough.
        rows[:, anchors] = drawn.reshape(len(anchors), pairings).T
    return rows.ravel()


def _cycled(rows, count, rng) -> np.ndarray:
    """`count` draws from rows, by one permutation after another."""
    rounds = -(-count // len(rows))
    return rng.permuted(np.tile(rows, (rounds, 1)), axis=1).ravel()[:count]


def _checked(label, name) -> np.ndarray:
    """The label as int64 [n]."""
    label = np.asarray(label)
    if label.ndim != 1 or not np.issubdtype(label.dtype, np.integer) or not len(label):
        raise ValueError(f"{name}: labels must be integers [n], n > 0, not {label.dtype} of shape {label.shape}.")
    return label.astype(np.int64)


def _check_pairings(pairings):
    if pairings < 1:
        raise ValueError(f"pairings must be 1 or more, not {pairings}.")


def _check_same_classes(labels):
    classes = {name: set(np.unique(label).tolist()) for name, label in labels.items()}
    for name, own in classes.items():
        missing = set.union(*classes.values()) - own
        if missing:
            raise ValueError(
                f"{name} has no example of class {min(missing)}, which another modality has; "
                f"give every modality the same classes, or drop that class's examples."
            )
