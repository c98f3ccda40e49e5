"""Linear probes of latent codes, [S] C.2.1 for classes and C.4.3 for attributes.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from scipy.linalg import LinAlgWarning
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from mmtf.metrics.coherence import class_indices
from mmtf.metrics.precision import attributes, average_precisions, varied

# Standardised codes need 10 to 30 iterations, nearly collinear ones some thousands (seconds for 5,000 codes).
MAX_ITERATIONS = 10_000


def linear_probe(train_codes, train_labels, test_codes, test_labels) -> float:
    """Return test accuracy of a logistic regression without penalty on latent codes, [S] C.2.1.

    The authors' releases keep scikit-learn's default L2 penalty (C=1), against the words of [S]; here there is none.

    Args:
      train_codes: codes to fit on, `[N, D]`.
      train_labels: their classes, `[N]` integers.
      test_codes: codes to score, `[T, D]`.
      test_labels: their classes, `[T]` integers; a class that is absent from training counts as an error.

    Returns:
      The share of test codes that are classified correctly, in 0..1.

    Raises:
      ValueError: a set is empty, lengths or widths differ, the training labels hold one class only, a label is no class
        index, or a code is NaN or infinite.
    """
    train, train_classes, test, test_classes = _checked_both(class_indices, train_codes, train_labels, test_codes, test_labels)
    if len(np.unique(train_classes)) < 2:
        raise ValueError(f"A classifier needs two classes or more; all training labels are {train_classes[0]}.")
    return float(_fitted(train, train_classes).score(test, test_classes))


def attribute_probes(train_codes, train_labels, test_codes, test_labels) -> np.ndarray:
    """Return average precision of a logistic regression without penalty for each of L attributes, on test codes, [S] C.4.3.

    Args:
      train_codes: codes to fit on, `[N, D]`.
      train_labels: which attributes their examples have, `[N, L]` of 0 and 1.
      test_codes: codes to score, `[T, D]`.
      test_labels: which attributes their examples have, `[T, L]` of 0 and 1.

    Returns:
      `[L]`, each in 0..1; NaN for an attribute that all or none of the training or of the test examples have.

    Raises:
      ValueError: a set is empty, lengths or widths differ, a label is not 0 or 1, or a code is NaN or infinite.
    """
    train, train_labels, test, test_labels = _checked_both(attributes, train_codes, train_labels, test_codes, test_labels)
    if train_labels.shape[1] != test_labels.shape[1]:
        raise ValueError(f"There are {train_labels.shape[1]} attributes in training, but {test_labels.shape[1]} in the test.")
    scaler = StandardScaler().fit(train)
    train, test = scaler.transform(train), scaler.transform(test)
    scores = np.zeros(test_labels.shape)
    (fitted,) = np.nonzero(varied(train_labels))
    # One thread: these are thousands of small products, which several threads make 3 to 20 times slower on busy cores.
    with threadpool_limits(1):
        for k in fitted:
            scores[:, k] = _attribute_scores(train, train_labels[:, k], test)
    precisions = np.full(test_labels.shape[1], np.nan)
    precisions[fitted] = average_precisions(scores, test_labels)[fitted]
    return precisions


def _attribute_scores(train: np.ndarray, present: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Return logits of test codes `[T]` for one attribute, from standardised codes.

    Newton's method: the order of the scores counts here. On 5,000 codes of 32 correlated dimensions, L-BFGS at scikit-learn's
    tolerance stopped where the average precision of an attribute was up to 0.027 off that of the optimum, after twice the time.
    """
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", max_iter=MAX_ITERATIONS)
    with warnings.catch_warnings():
        # Collinear codes (no unique optimum) or separable ones (none at all) make scikit-learn go on with L-BFGS, and say so.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", LinAlgWarning)
        return model.fit(train, present).decision_function(test)


def _fitted(codes: np.ndarray, classes: np.ndarray) -> Pipeline:
    """Return the fitted classifier.

    Without a penalty the best fit does not depend on the scale of the codes, but L-BFGS does: on codes of scale 1e-4, as of
    a nearly collapsed posterior, its gradient test passes at once and a separable set scores at chance; with scales from
    1e-4 to 1e2 in one code it stops short after 10,000 iterations. Hence the standardisation, by the training codes.
    """
    # C=inf is "no penalty" in every scikit-learn since 1.4; penalty=None goes in 1.10.
    model = make_pipeline(StandardScaler(), LogisticRegression(C=np.inf, max_iter=MAX_ITERATIONS))
    with warnings.catch_warnings():
        # Where D is large or classes are separable the optimum lies at infinity; the labels it assigns settle long before.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(codes, classes)


def _checked_both(as_labels: Callable, train_codes, train_labels, test_codes, test_labels) -> tuple[np.ndarray, ...]:
    train, train_labels = _checked(as_labels, train_codes, train_labels, "train")
    test, test_labels = _checked(as_labels, test_codes, test_labels, "test")
    if train.shape[1] != test.shape[1]:
        raise ValueError(f"Training codes have {train.shape[1]} dimensions, but test codes have {test.shape[1]}.")
    return train, train_labels, test, test_labels


def _checked(as_labels: Callable, codes, labels, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return codes as `[N, D]` float64 and labels as `as_labels` makes them, int64 `[N]` or `[N, L]`."""
    array = np.asarray(codes, dtype=np.float64)
    if array.ndim != 2 or not array.size:
        raise ValueError(f"{name}_codes: wanted a filled array [N, D], but the shape is {array.shape}.")
    labels = as_labels(labels, f"{name}_labels")
    if len(array) != len(labels):
        raise ValueError(f"There are {len(array)} {name}_codes, but {len(labels)} {name}_labels.")
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{name}_codes: some are NaN or infinite; the encoder that made them has diverged.")
    return array, labels
