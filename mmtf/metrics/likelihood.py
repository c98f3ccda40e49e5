"""Log-likelihoods by importance sampling: from the log-weights of samples to estimates, their errors and their health.

Log-weights are log p(x, z_k) - log q(z_k|x) in nats of K samples z_k ~ q for each of N examples, `[K, N]`.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import logsumexp

# The tail that the Pareto distribution is fitted to: the largest min(0.2 K, 3 sqrt(K)) weights [Vehtari 2024], at least 5.
LEAST_TAIL = 5
LEAST_SAMPLES = LEAST_TAIL * 5
# Above it the mean of so many weights does not settle [Vehtari 2024].
PARETO_LIMIT = 0.7
# Pseudo-observations of shape 1/2 that the fit of a few is drawn to [Vehtari 2024].
PRIOR_COUNT, PRIOR_SHAPE = 10, 0.5
# Examples whose tails are fitted at once: the fit holds some forty numbers for each weight of a tail.
CHUNK = 1000


def log_mean_exp(log_weights, axis: int = 0) -> np.ndarray:
    """log (1/K) sum_k w_k: the estimate of log p(x), whose expectation is below it and rises with K [Burda 2016].

    `[K, N]` -> `[N]`. Raises ValueError as `checked` does.
    """
    log_weights = checked(log_weights)
    return logsumexp(log_weights, axis=axis) - math.log(log_weights.shape[axis])


def sampling_variance(log_weights) -> np.ndarray:
    """Return variance of `log_mean_exp` under other samples, by the delta method: Var(w) / (K mean(w)^2), `[K, N]` -> `[N]`.

    0 of a single sample, which tells nothing of it. Where the weights have a heavy tail (`pareto_k`) it is too small.
    """
    weights = _relative(log_weights)
    if len(weights) < 2:
        return np.zeros(weights.shape[1])
    return weights.var(axis=0, ddof=1) / (len(weights) * np.square(weights.mean(axis=0)))


def effective_sample_size(log_weights) -> np.ndarray:
    """(sum_k w_k)^2 / sum_k w_k^2: as many equal weights would do as well; 1 to K. `[K, N]` -> `[N]`."""
    weights = _relative(log_weights)
    return np.square(weights.sum(axis=0)) / np.square(weights).sum(axis=0)


def pareto_k(log_weights) -> np.ndarray:
    """Shape k-hat of the generalised Pareto distribution of each example's largest weights, `[K, N]` -> `[N]` [Vehtari 2024].

    Below 0.5 the weights have a variance; above 0.7 their mean is not to be trusted, however small its error looks. The fit is
    that of Zhang and Stephens (2009) with Vehtari's weak prior. NaN where the largest weights are all equal; and for all, of
    fewer than 25 samples.
    """
    log_weights = checked(log_weights)
    count, examples = log_weights.shape
    if count < LEAST_SAMPLES:
        return np.full(examples, np.nan)
    tail = max(LEAST_TAIL, math.ceil(min(0.2 * count, 3 * math.sqrt(count))))
    largest = np.sort(_relative(log_weights), axis=0)[-tail - 1 :]
    excess = largest[1:] - largest[0]
    return np.concatenate([_pareto_shape(excess[:, i : i + CHUNK]) for i in range(0, examples, CHUNK)])


def checked(log_weights) -> np.ndarray:
    """Return log-weights as `[K, N]` float64.

    Raises:
      ValueError: another shape, nothing in it, NaN or plus infinity, or an example all of whose weights are 0.
    """
    weights = np.asarray(log_weights, np.float64)
    if weights.ndim != 2 or not weights.size:
        raise ValueError(f"log_weights: wanted those of K samples for N examples, [K, N], but the shape is {weights.shape}.")
    if np.isnan(weights).any() or np.isposinf(weights).any():
        raise ValueError("log_weights: some are NaN or infinite; the model that they come from has diverged.")
    if np.isneginf(weights).all(axis=0).any():
        raise ValueError("log_weights: all samples of an example have weight 0; draw more, or from a wider distribution.")
    return weights


def _relative(log_weights) -> np.ndarray:
    """Return weights over the largest of each example."""
    weights = checked(log_weights)
    return np.exp(weights - weights.max(axis=0))


def _pareto_shape(excess: np.ndarray) -> np.ndarray:
    """k-hat of excesses over a threshold, in ascending order, `[T, N]` -> `[N]`; NaN where some example's are all 0."""
    count, flat = len(excess), excess[-1] <= 0.0
    x = np.where(flat, 1.0, excess)
    # The posterior mean of b = -k / sigma over a grid, from a profile likelihood [Zhang and Stephens 2009, eq. 6 to 8].
    size = 30 + int(math.sqrt(count))
    places = 1.0 - np.sqrt(size / (np.arange(1, size + 1) - 0.5))
    quartile = np.maximum(x[int(count / 4 + 0.5) - 1], np.finfo(float).tiny)
    b = 1.0 / x[-1] + places[:, None] / (3.0 * quartile)
    k = np.log1p(-b[:, None] * x).mean(axis=1)
    log_likelihood = count * (np.log(-b / k) - k - 1.0)
    weights = np.exp(log_likelihood - logsumexp(log_likelihood, axis=0))
    shape = np.log1p(-(weights * b).sum(axis=0) * x).mean(axis=0)
    shape = (count * shape + PRIOR_COUNT * PRIOR_SHAPE) / (count + PRIOR_COUNT)
    return np.where(flat, np.nan, shape)
