"""Batches in which each example has modalities of its own, drawn by Hypothesis, and all that a model says of a batch."""

import functools
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import toys
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from toys import ROUNDING

from mmtf.distributions.gaussian import stddev
from mmtf.modality import subsets

NAMES = ("vector", "image", "text")
SETS = subsets(NAMES)
# Examples of every batch, one for each set: of one size, what is made of it is traced once.
SIZE = len(SETS)
# The same batches in every run; each example of a batch is a case of its own. What is traced once may see many, and look for
# the smallest that breaks a fact; what is not traced is too slow for that.
FEW = settings(
    max_examples=2,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    # Every model's class inherits the same tests, and nothing is remembered of one for another.
    suppress_health_check=[HealthCheck.differing_executors],
)
MANY = settings(FEW, max_examples=20, phases=[Phase.generate, Phase.shrink])
FILLERS = {
    "nan": lambda x: np.full_like(x, np.nan if x.dtype.kind == "f" else np.iinfo(x.dtype).min),
    "huge": lambda x: np.full_like(x, 1e30 if x.dtype.kind == "f" else np.iinfo(x.dtype).max),
    "noise": lambda x: np.random.default_rng(1).normal(0, 9, x.shape).astype(x.dtype),
}


class Batch(NamedTuple):
    values: dict
    mask: dict
    seed: int

    def at(self, rows):
        """Other examples of the batch in the places of these."""
        return Batch({n: x[rows] for n, x in self.values.items()}, {n: m[rows] for n, m in self.mask.items()}, self.seed)

    def beside(self, other):
        """The first example beside other examples."""
        parts = zip(self[:2], other[:2], strict=True)
        return Batch(*({n: np.concatenate([x[n][:1], y[n][1:]]) for n in NAMES} for x, y in parts), self.seed)

    def own(self, row):
        """The one example with the modalities that it has, and no mask."""
        return {n: x[[row]] for n, x in self.values.items() if self.mask[n][row]}

    def filled(self, fillers):
        """The same batch with other things in its gaps: per modality one of `FILLERS`."""
        there = {n: self.mask[n].reshape(-1, *[1] * (x.ndim - 1)) for n, x in self.values.items()}
        return self._replace(values={n: np.where(there[n], x, FILLERS[fillers[n]](x)) for n, x in self.values.items()})


def of_sets(seed=0):
    """A batch of which each example has another set of modalities: all that there are."""
    return Batch(toys.values(SIZE, seed), {n: np.array([n in names for names in SETS]) for n in NAMES}, seed)


def without(*names, seed=0):
    """A batch whose examples all lack these modalities."""
    return Batch(toys.values(SIZE, seed), {n: np.full(SIZE, n not in names) for n in NAMES}, seed)


@st.composite
def batches(draw):
    """Examples with one modality or more each."""
    has = draw(st.lists(st.sampled_from(SETS), min_size=SIZE, max_size=SIZE))
    seed = draw(st.integers(0, 2**16))
    return Batch(toys.values(SIZE, seed), {n: np.array([n in names for names in has]) for n in NAMES}, seed)


def rows():
    """One of the batch or several, in any order, some of them repeatedly."""
    return st.lists(st.integers(0, SIZE - 1), min_size=SIZE, max_size=SIZE).map(np.array)


def fillers():
    return st.fixed_dictionaries({n: st.sampled_from(list(FILLERS)) for n in NAMES})


def said(model, values, mask=None):
    """What the verbs say of each example, `[B, ...]` by name: codes, posteriors of all subsets, and what is made of them."""
    codes, origin = model.encode(values, mask), tf.zeros([model.shared_dim])
    experts = {f"shared/{n}": q for n, q in codes.shared.items()} | {f"private/{n}": q for n, q in codes.private.items()}
    found = {name: tf.concat([q.loc, stddev(q)], axis=-1) for name, q in experts.items()}
    found |= {"&".join(sorted(subset)): q.mean() for subset, q in model.posteriors(values, mask).items()}
    posterior = model.posterior(values, mask=mask)
    found["posterior"] = tf.concat([posterior.mean(), posterior.log_prob(origin)[:, None]], axis=-1)
    found |= {f"reconstruct/{n}": x for n, x in model.reconstruct(values, mask, mean=True).items()}
    return found | {f"translate/{n}": x for n, x in model.translate(values, model.names, mask, mean=True).items()}


def sampled(model, values, mask, seed):
    """What the verbs draw for each example."""
    found = {f"reconstruct/{n}": x for n, x in model.reconstruct(values, mask, seed, mean=True).items()}
    return found | {f"translate/{n}": x for n, x in model.translate(values, model.names, mask, seed, mean=True).items()}


class Traced:
    """The verbs of a model on batches of `SIZE`, as functions that are traced once."""

    def __init__(self, model):
        self.model = model
        self._said = tf.function(functools.partial(said, model))
        self._sampled = tf.function(functools.partial(sampled, model))

    def said(self, batch):
        return self._said(*_tensors(batch))

    def sampled(self, batch):
        return self._sampled(*_tensors(batch), tf.constant([0, batch.seed]))

    def check_fillers(self, batch, fillers):
        """What fills the gaps changes nothing that the verbs say or draw."""
        for verbs in (self.said, self.sampled):
            assert_same(verbs(batch.filled(fillers)), verbs(batch), **ROUNDING)

    def check_company(self, batch, other):
        """What the verbs say and draw of the first example is what they do beside other examples."""
        for verbs in (self.said, self.sampled):
            found, wanted = ({name: x[:1] for name, x in verbs(b).items()} for b in (batch.beside(other), batch))
            assert_same(found, wanted, **ROUNDING)

    def check_alone(self, batch, row):
        """What the verbs say of one example of a batch is what they say of it alone, given just the modalities that it has."""
        alone, company = said(self.model, batch.own(row)), self.said(batch)
        assert_same({name: company[name][row : row + 1] for name in alone}, alone, **ROUNDING)

    def check_sets(self, batch):
        """Of a batch `of_sets`, each example's posterior is that of its own set, which the whole examples have too."""
        found, origin = self.said(batch)["posterior"], tf.zeros([self.model.shared_dim])
        for row, q in enumerate(self.model.posteriors(batch.values).values()):
            wanted = np.append(q.mean()[row], q.log_prob(origin)[row])
            np.testing.assert_allclose(found[row], wanted, err_msg=str(SETS[row]), **ROUNDING)


def assert_same(found, wanted, **tolerance):
    """Of two dicts of arrays, that they are equal: bit for bit, or within a tolerance."""
    assert set(found) == set(wanted)
    for name, x in wanted.items():
        if tolerance:
            np.testing.assert_allclose(found[name], x, err_msg=name, **tolerance)
        else:
            np.testing.assert_array_equal(found[name], x, err_msg=name)


def _tensors(batch):
    return tuple({n: tf.constant(x) for n, x in part.items()} for part in batch[:2])
