"""How much a linear classifier finds in the latent codes, [S] C.2.1."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from mmtf.metrics.coherence import class_indices

# Standardised codes need 10 to 30 iterations, nearly collinear ones some thousands (seconds for 5,000 codes).
MAX_ITERATIONS = 10_000


def linear_probe(train_codes, train_labels, test_codes, test_labels) -> float:
    """Test accuracy of a logistic regression without penalty on latent codes, [S] C.2.1.

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
    train, train_classes = _checked(train_codes, train_labels, "train")
    test, test_classes = _checked(test_codes, test_labels, "test")
    if train.shape[1] != test.shape[1]:
        raise ValueError(f"Training codes have {train.shape[1]} dimensions, but test codes have {test.shape[1]}.")
    if len(np.unique(train_classes)) < 2:
        raise ValueError(f"A classifier needs two classes or more; all training labels are {train_classes[0]}.")
    return float(_fitted(train, train_classes).score(test, test_classes))


def _fitted(codes: np.ndarray, classes: np.ndarray) -> Pipeline:
    """The fitted classifier.

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


def _checked(codes, labels, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Codes as `[N, D]` float64 and classes as `[N]` int64."""
    array = np.asarray(codes, dtype=np.float64)
    if array.ndim != 2 or not array.size:
        raise ValueError(f"{what}_codes: wanted a filled array [N, D], but the shape is {array.shape}.")
    classes = class_indices(labels, f"{what}_labels")
    if len(array) != len(classes):
        raise ValueError(f"There are {len(array)} {what}_codes, but {len(classes)} {what}_labels.")
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{what}_codes: some are NaN or infinite; the encoder that made them has diverged.")
    return array, classes
