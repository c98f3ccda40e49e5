"""A user's own values, and a data set of them with another modality that is always there."""

import numpy as np

from mmtf.data import from_arrays

N = 40
REAL = np.random.default_rng(0).normal(3, 2, (N, 5))
LABELS = np.arange(N) % 4


def both(values, labels=None, **options):
    """The values as `x`; `other` ascends."""
    # A sparse matrix has a shape, and no length.
    count = values.shape[0] if hasattr(values, "shape") else len(values)
    return from_arrays({"x": values, "other": np.linspace(-1, 1.5, count)}, labels, **options)


def put_together(data, name="x"):
    """All examples of a modality in the order in which they were given."""
    pools = [np.concatenate([part.pools[key] for part in (data.train, data.test)]) for key in (name, "other")]
    return pools[0][np.argsort(pools[1][:, 0])]
