"""Training examples that are kept from training, to tell checkpoints apart without looking at the test split."""

from __future__ import annotations

import dataclasses

import numpy as np

from mmtf.data.dataset import MultimodalData, Split
from mmtf.errors import UserError


def held_out(data: MultimodalData, count: int, seed: int) -> tuple[MultimodalData, Split]:
    """Return the data set without some training examples, and `count` of these.

    Where one value of the first modality serves several examples, as where pairs are made, all of them are kept from training,
    so that no value of it is seen. Those of the other modalities may be, in other pairs.

    Args:
      seed: of the choice, which is the same for the same examples.

    Raises:
      UserError: too few examples would be left.
    """
    split = data.train
    name, rows = next(iter(split.rows.items()))
    # An example without the modality stands alone.
    sources = np.where(split.has([name]), rows, -1 - np.arange(len(rows)))
    _, source, sizes = np.unique(sources, return_inverse=True, return_counts=True)
    order = np.random.default_rng([seed, len(split)]).permutation(len(sizes))
    chosen = order[: 1 + int(np.searchsorted(np.cumsum(sizes[order]), count))]
    is_held_out = np.isin(source, chosen)
    if count >= len(split) or is_held_out.all():
        raise UserError(f"--validation_examples={count} of {len(split)} training examples leaves none to train on; lower it.")
    return dataclasses.replace(data, train=split.at(~is_held_out)), split.at(np.flatnonzero(is_held_out)[:count])
