"""What latent codes are used for: active units, collapsed dimensions, and whether modalities agree on an example's code.

Posteriors are diagonal Gaussians, given by means and standard deviations, `[N, D]` each; priors are N(0, I). In nats.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mmtf.metrics.arrays import table
from mmtf.metrics.intervals import Estimate, mean
from mmtf.metrics.retrieval import mismatch_auc, mismatched

ACTIVE_ABOVE = 0.01  # Burda, Grosse and Salakhutdinov 2016
# In a linear Gaussian model whose posteriors average to the prior, a dimension whose means have variance v has a mean KL of
# -log(1 - v) / 2: below this it is inactive, and the two counts agree.
COLLAPSED_BELOW = -math.log1p(-ACTIVE_ABOVE) / 2


class Collapse(NamedTuple):
    """How far posteriors are from the prior: the mean KL of each dimension `[D]`, and the share of those that are at it."""

    kl: np.ndarray
    share: float


class Divergence(NamedTuple):
    """How far two modalities' posteriors of the same example are from each other, beside those of different examples.

    Attributes:
      matched, mismatched: mean divergence over examples, from 0 on.
      auc: how often the posteriors of the same example are nearer than those of different ones, 0.5 by chance and 1 at best;
        unlike the means, it does not depend on how narrow the posteriors are, nor on a few far ones.
    """

    matched: Estimate
    mismatched: Estimate
    auc: float


def variances(means) -> np.ndarray:
    """Return variance over examples of each dimension's posterior mean, `[N, D]` -> `[D]`: what `active_units` counts by.

    Raises:
      ValueError: not `[N, D]`, NaN or infinite, or fewer than two examples.
    """
    means = table(means, "means")
    if len(means) < 2:
        raise ValueError("The variance over examples takes two of them or more, not 1.")
    return means.var(axis=0, ddof=1)


def active_units(means, threshold: float = ACTIVE_ABOVE) -> int:
    """Return how many of D dimensions depend on the data: Var_x E_q(z|x)[z] > threshold (Burda et al.

    2016). Raises as `variances`.
    """
    return int(np.count_nonzero(variances(means) > threshold))


def kl_to_prior(means, stddevs) -> np.ndarray:
    """KL(q(z_d|x) || N(0, 1)) = (m^2 + s^2 - 1) / 2 - log s of each example and dimension: `[N, D]` twice -> `[N, D]`.

    Raises:
      ValueError: not `[N, D]` of one shape, NaN or infinite, or a standard deviation that is not above 0.
    """
    means, stddevs = _checked(means, stddevs, "")
    return (means**2 + stddevs**2 - 1) / 2 - np.log(stddevs)


def laplace_kl_to_prior(means, stddevs) -> np.ndarray:
    """KL(q(z_d|x) || Laplace(0, 1)) = b e^(-|m| / b) + |m| - 1 - log b of Laplace posteriors of scale b, as `kl_to_prior`.

    Args:
      stddevs: b sqrt(2).

    Raises:
      ValueError: as `kl_to_prior`.
    """
    means, stddevs = _checked(means, stddevs, "")
    far, scales = np.abs(means), stddevs / math.sqrt(2)
    return scales * np.exp(-far / scales) + far - 1 - np.log(scales)


def collapse(kl, threshold: float = COLLAPSED_BELOW) -> Collapse:
    """Return which dimensions have a mean KL below the threshold: their posteriors are the prior, whatever the example.

    A dimension whose mean is the same for all examples, but not 0, is neither active nor collapsed in this sense.

    Args:
      kl: of each example and dimension, `[N, D]`, as `kl_to_prior` returns it.
      threshold: in nats.

    Raises:
      ValueError: not `[N, D]`, NaN or infinite.
    """
    kl = table(kl, "kl").mean(axis=0)
    return Collapse(kl, float(np.mean(kl < threshold)))


def jeffreys(means_a, stddevs_a, means_b, stddevs_b) -> np.ndarray:
    """KL(a || b) + KL(b || a) of each pair of posteriors, summed over dimensions: `[N, D]` each -> `[N]`, from 0 on.

    Raises:
      ValueError: as `kl_to_prior` does for each, or the two are of different shapes.
    """
    ma, sa, mb, sb = _checked_both(means_a, stddevs_a, means_b, stddevs_b)
    # The logarithms of the two cancel, and what is left of the variances is a square: no rounding takes it below 0.
    return np.sum((sa / sb - sb / sa) ** 2 + (ma - mb) ** 2 * (1 / sa**2 + 1 / sb**2), axis=1) / 2


def jensen_shannon(means_a, stddevs_a, means_b, stddevs_b) -> np.ndarray:
    """Return the geometric Jensen-Shannon divergence of each pair of posteriors (Nielsen 2019; [S] eq.

    16 without a prior). -> `[N]`

    KL(a || g) / 2 + KL(b || g) / 2 to the normalised geometric mean g of the two. Raises ValueError as `jeffreys` does.
    """
    ma, sa, mb, sb = _checked_both(means_a, stddevs_a, means_b, stddevs_b)
    variance = 2 / (1 / sa**2 + 1 / sb**2)
    centre = variance * (ma / sa**2 + mb / sb**2) / 2
    apart = (sa**2 + sb**2 + (ma - centre) ** 2 + (mb - centre) ** 2) / (2 * variance)
    # Below 0 by rounding only.
    return np.maximum(np.sum(apart - 1 + np.log(variance / (sa * sb)), axis=1) / 2, 0.0)


def divergence(
    means_a,
    stddevs_a,
    means_b,
    stddevs_b,
    *,
    measure: Callable[..., np.ndarray] = jeffreys,
    clusters=None,
    seed: int = 0,
) -> Divergence:
    """Whether two modalities lead to the same code: their posteriors' divergence for the same and for different examples.

    It is small for all where both have collapsed; only beside mismatched examples does it say that the code is shared.

    Args:
      means_a, stddevs_a, means_b, stddevs_b: `[N, D]` each, row n from example n.
      measure: `jeffreys` or `jensen_shannon`.
      clusters: what each example came from, `[N]`: intervals are by sources, and mismatched examples are from different ones.
      seed: of who is mismatched, and of the bootstrap.

    Raises:
      ValueError: as `jeffreys` does, or as `retrieval.mismatched`.
    """
    ma, sa, mb, sb = _checked_both(means_a, stddevs_a, means_b, stddevs_b)
    others = mismatched(len(ma), clusters=clusters, seed=seed)
    near, far = measure(ma, sa, mb, sb), measure(ma, sa, mb[others], sb[others])
    estimates = [mean(x, clusters=clusters, limits=(0.0, math.inf), seed=seed) for x in (near, far)]
    return Divergence(*estimates, mismatch_auc(-near, -far))


def _checked(means, stddevs, suffix: str) -> tuple[np.ndarray, np.ndarray]:
    means, stddevs = table(means, f"means{suffix}"), table(stddevs, f"stddevs{suffix}")
    if means.shape != stddevs.shape:
        raise ValueError(f"means{suffix} are {means.shape}, but stddevs{suffix} {stddevs.shape}.")
    if not (stddevs > 0).all():
        raise ValueError(f"stddevs{suffix}: wanted standard deviations above 0; the smallest is {stddevs.min():g}.")
    return means, stddevs


def _checked_both(means_a, stddevs_a, means_b, stddevs_b) -> tuple[np.ndarray, ...]:
    a, b = _checked(means_a, stddevs_a, "_a"), _checked(means_b, stddevs_b, "_b")
    if a[0].shape != b[0].shape:
        raise ValueError(f"Row n of both is of example n, but a is {a[0].shape} and b {b[0].shape}.")
    return *a, *b
