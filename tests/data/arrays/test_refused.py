"""Rule: what would be changed without a word is refused at the door, and the message says what to give instead."""

import time

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

import mmtf
from mmtf.errors import UserError

B = np.random.default_rng(0).normal(size=(20, 2))
PLACE = np.arange(40).reshape(20, 2) == 5
COUNTS = np.random.default_rng(1).poisson(3.0, size=(20, 2))


class Annotated:
    """As AnnData: it has a length and items, and is no array. NumPy would read it element by element."""

    def __len__(self):
        return 20

    def __getitem__(self, key):
        time.sleep(60)
        return self


def refused(value, **how):
    return mmtf.from_arrays({"a": value, "b": B}, **how)


@pytest.mark.parametrize(
    ("value", "how", "message"),
    [
        (
            np.where(np.arange(40).reshape(20, 2) == 5, 6e8, COUNTS),
            {"likelihoods": {"a": "negative_binomial"}},
            "up to 4.85e\\+08",
        ),
        (np.where(PLACE, 1e-55, B), {}, "example 2 holds 1e-55, which float32 takes for 0"),
        (10.0 ** np.random.default_rng(0).uniform(-300, 0, (20, 2)), {}, "which float32 takes for 0; take logarithms"),
        ([f"folder/picture_{k}.PNG" for k in range(20)], {}, "'folder/picture_0.png' are names of picture files"),
        (pd.Series([f"{k}.jpeg" for k in range(20)]), {}, "names of picture files"),
        (Annotated(), {}, "wanted an array .*not Annotated"),
        ({"x": 1}, {}, "wanted an array .*not dict"),
        ("text", {}, "wanted an array .*not str"),
        (B, {"labels": np.arange(20) % 3, "class_names": ["x", "y", "x"]}, "class_names: 'x' stands twice"),
    ],
)
def test_what_would_be_changed_is_refused(value, how, message):
    start = time.monotonic()
    with pytest.raises(UserError, match=message):
        refused(value, **how)
    assert time.monotonic() - start < 30


@pytest.mark.parametrize(
    "value",
    [
        COUNTS * 1e8,
        np.where(np.arange(40).reshape(20, 2) == 5, 0.0, B),
        np.where(np.arange(40).reshape(20, 2) == 5, 1e-30, B),
        ["one.png", *[f"word {k}" for k in range(19)]],
        memoryview(B),
        range(20),
        scipy.sparse.csr_matrix(COUNTS),
    ],
    ids=["large counts", "zeros", "small", "one file name among words", "memoryview", "range", "sparse"],
)
def test_what_only_looks_like_it_is_taken(value):
    likelihoods = {"a": "normal"} if isinstance(value, np.ndarray) else {}
    assert len(refused(value, likelihoods=likelihoods).train) > 0
