"""PyTorch's convolutions in NumPy (float64), written from their definitions: explicit padding, one kernel tap at a time.

Any number of spatial axes; channels last; kernels as Keras keeps them, `[*sizes, in, out]`, transposed ones
`[*sizes, out, in]`. As in PyTorch, and unlike the textbook, nothing is flipped.
"""

import itertools

import numpy as np


def conv(x, kernel, bias, stride, padding):
    """y[n] = bias + sum_k x[n * stride + k - padding] kernel[k], x being 0 outside; size (n + 2p - k) // s + 1."""
    x, sizes = np.asarray(x, float), kernel.shape[:-2]
    padded = np.pad(x, [(0, 0), *[(padding, padding)] * len(sizes), (0, 0)])
    out = [(n - k) // stride + 1 for n, k in zip(padded.shape[1:-1], sizes, strict=True)]
    y = np.zeros((len(x), *out, kernel.shape[-1]))
    for tap in itertools.product(*map(range, sizes)):
        window = tuple(slice(t, t + stride * (n - 1) + 1, stride) for t, n in zip(tap, out, strict=True))
        y += padded[(slice(None), *window)] @ kernel[tap]
    return y + bias


def conv_transposed(x, kernel, bias, stride, padding):
    """Each x[n] adds x[n] kernel[k] to y[n * stride + k - padding]; size (n - 1) s - 2p + k."""
    x, sizes = np.asarray(x, float), kernel.shape[:-2]
    full = [(n - 1) * stride + k for n, k in zip(x.shape[1:-1], sizes, strict=True)]
    y = np.zeros((len(x), *full, kernel.shape[-2]))
    for tap in itertools.product(*map(range, sizes)):
        window = tuple(slice(t, t + stride * (n - 1) + 1, stride) for t, n in zip(tap, x.shape[1:-1], strict=True))
        y[(slice(None), *window)] += x @ np.swapaxes(kernel[tap], -1, -2)
    inner = tuple(slice(padding, n - padding) for n in full)
    return y[(slice(None), *inner)] + bias


def dense(x, kernel, bias):
    return x @ kernel + bias


def batch_norm(x, gamma, beta, mean, variance, epsilon=1e-5):
    """PyTorch's in evaluation mode."""
    return (x - mean) / np.sqrt(variance + epsilon) * gamma + beta


def relu(x):
    return np.maximum(x, 0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))
