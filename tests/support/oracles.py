"""Independent references in NumPy (float64): closed forms of Gaussians, and finite differences."""

import numpy as np


def kl(m1, s1, m2, s2):
    """KL(N(m1, s1^2) || N(m2, s2^2)), summed over the last axis, by its textbook formula."""
    return np.sum(np.log(s2 / s1) + (s1**2 + (m1 - m2) ** 2) / (2 * s2**2) - 0.5, axis=-1)


def log_normal(x, m, s):
    return np.sum(-0.5 * np.log(2 * np.pi) - np.log(s) - (x - m) ** 2 / (2 * s**2), axis=-1)


def log_laplace(x, m, b):
    return np.sum(-np.log(2 * b) - np.abs(x - m) / b, axis=-1)


def jensen_shannon(locs, scales, weights):
    """sum_k w_k KL(q_k || f), f the normalised geometric mean. locs, scales: [K, B, D]; weights: [K] or [K, B]."""
    w = np.asarray(weights, float)
    w = w.reshape(*w.shape, *[1] * (3 - w.ndim))
    precision = np.sum(w / scales**2, axis=0)
    mean = np.sum(w * locs / scales**2, axis=0) / precision
    return np.sum(w[..., 0] * kl(locs, scales, mean, precision**-0.5), axis=0)


def finite_difference(function, x, step=1e-3):
    """Central differences of a scalar function at a float32 array; the step suits float32 functions of order 1."""
    gradient = np.zeros_like(x, dtype=np.float64)
    for index in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[index] += step
        down[index] -= step
        gradient[index] = (float(function(up)) - float(function(down))) / (float(up[index]) - float(down[index]))
    return gradient
