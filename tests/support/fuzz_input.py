"""Values of every kind and in every container, as users bring them, each with what it should be taken for."""

from __future__ import annotations

import dataclasses
import tempfile

import numpy as np
import pandas
import polars
import pyarrow
import scipy.sparse
import tensorflow as tf
from named_values import Annotated

TYPES = ("bool", "int8", "uint8", "int16", "uint16", ">i4", "int64", "uint64", "float16", "float32", ">f4", "float64", ">f8",
         "longdouble")  # fmt: skip
WORDS = np.array(["red", "Blue", "a b", "", "x-1", "größe", "tab\t", "nan", "None", "0", "a.png", "é"], object)


@dataclasses.dataclass
class Drawn:
    """One modality.

    Attributes:
      clean: `[N, ...]` numbers, or strings and None, in a plain array, by place.
      given: the same in a container; its rows are `order` of the clean ones.
      order: the rows; `named`, where the container names them.
    """

    clean: np.ndarray
    given: object
    order: np.ndarray
    named: bool


def numbers(rng, count: int) -> np.ndarray:
    """Numbers `[count, ...]` of some kind, type and shape."""
    shape = [(), (1,), (3,), (2, 2), (4, 4), (4, 4, 1), (4, 4, 3), (2, 3, 2, 2), (0,)]
    size = (count, *shape[rng.choice(len(shape), p=[0.1, 0.1, 0.4, 0.07, 0.1, 0.1, 0.07, 0.05, 0.01])])
    if rng.uniform() < 0.5:
        return _plain(rng, count)
    kind = rng.integers(10)
    if kind == 0:
        x = rng.normal(size=size) * 10.0 ** rng.uniform(-60, 45)
    elif kind == 1:
        x = rng.normal(rng.choice([0, 5, 1e4, 1e8]), 1, size)
    elif kind == 2:
        x = rng.poisson(rng.choice([0.3, 3, 30, 3000]), size)
    elif kind == 3:
        x = rng.integers(0, 2, size)
    elif kind == 4:
        x = rng.integers(rng.choice([-3, -1, 0, 1]), rng.choice([2, 5, 127, 128, 256, 70_000]) + 1, size)
    elif kind == 5:
        x = rng.uniform(0, 1, size)
    elif kind == 6:
        x = np.full(size, rng.choice([0, 1, -2.5, 255, np.nan]))
    elif kind == 7:
        x = rng.uniform(0, 255, size).round(rng.integers(2))
    elif kind == 8:
        x = np.where(rng.uniform(size=size) < 0.5, 0, rng.integers(0, 10**9, size))
    else:
        x = rng.normal(2000, 5, size).round()
    with np.errstate(all="ignore"):
        x = np.asarray(x).astype(rng.choice(TYPES))
    if x.dtype.kind == "f" and rng.uniform() < 0.3 and x.size:
        x[rng.uniform(size=x.shape) < rng.choice([0.02, 0.3])] = np.nan
        if rng.uniform() < 0.5:
            x[rng.integers(count)] = np.nan
        if rng.uniform() < 0.1:
            x.flat[rng.integers(x.size)] = np.inf
    return x


def _plain(rng, count: int) -> np.ndarray:
    """Draw what most users have: measurements, counts, classes, pictures."""
    kind = rng.integers(5)
    if kind == 0:
        x = rng.normal(3, 2, (count, 3)).astype(rng.choice(["float32", "float64"]))
        x[rng.uniform(size=x.shape) < rng.choice([0.0, 0.1])] = np.nan
        return x
    if kind == 1:
        return rng.poisson(2.0, (count, 4)).astype(rng.choice(["float32", "float64"]))
    if kind == 2:
        return rng.integers(0, 5, (count, 2)).astype(rng.choice(["int8", "int64", "uint16"]))
    return rng.integers(0, 256, (count, 4, 4), np.uint8) if kind == 3 else rng.uniform(0, 1, (count, 4, 4, 3))


def strings(rng, count: int) -> np.ndarray:
    """Texts `[count]`, or names `[count, k]`, most of them of a kind that can be learned."""
    pool = WORDS[: rng.choice([3, 5, 5, 5, len(WORDS)])]
    x = pool[rng.integers(len(pool), size=(count, *rng.choice(np.array([(), (1,), (2,)], object))))]
    if rng.uniform() < 0.3:
        x[rng.uniform(size=x.shape) < 0.1] = None
    return x


def containers(x: np.ndarray, names: list[str]) -> dict:
    """Functions of the rows in some order, by what they are; those of pandas also take names for the rows."""
    plain = x.astype(x.dtype.newbyteorder("=")) if x.dtype.kind in "biuf" else x
    plain = plain.astype(np.float64) if plain.dtype == np.longdouble else plain
    found = {"array": lambda v, _: v, "list": lambda v, _: v.tolist(), "tuple": lambda v, _: tuple(v), "mapped": _mapped}
    found |= {"strided": lambda v, _: np.repeat(v, 2, axis=0)[::2], "Fortran": lambda v, _: np.asfortranarray(v)}
    if x.dtype.kind in "biuf" and plain.dtype == x.dtype.newbyteorder("="):
        found |= {"tensor": lambda v, _: tf.constant(v.astype(plain.dtype))}
    if plain.dtype.kind in "biufO" and x.ndim == 1:
        found |= {"series": lambda v, rows: pandas.Series(v.astype(plain.dtype), index=rows)}
        found |= {"polars series": lambda v, _: polars.Series(v.astype(plain.dtype))}
    if plain.dtype.kind in "biufO" and x.ndim == 2 and x.shape[1]:
        columns = names[: x.shape[1]]
        frame = lambda v, rows: pandas.DataFrame(v.astype(plain.dtype), index=rows, columns=columns)  # noqa: E731
        found |= {"frame": frame, "nullable": lambda v, rows: frame(v, rows).convert_dtypes()}
        found |= {"arrow in pandas": lambda v, rows: frame(v, rows).convert_dtypes(dtype_backend="pyarrow")}
        found |= {"polars": lambda v, _: polars.DataFrame(v.astype(plain.dtype), schema=columns)}
        found |= {"arrow": lambda v, _: pyarrow.table(dict(zip(columns, v.astype(plain.dtype).T, strict=True)))}
        if plain.dtype.kind != "O" and plain.dtype != np.float16:
            found |= {"sparse": lambda v, _: scipy.sparse.csr_matrix(v.astype(plain.dtype))}
    return found


def drawn(rng, count: int, row_names: list[str], names=tuple("pqrs")) -> Drawn:
    """One modality of so many examples."""
    x = strings(rng, count) if rng.uniform() < 0.15 else numbers(rng, count)
    made = containers(x, list(names))
    kind = rng.choice(sorted(made))
    named = kind in ("series", "frame", "nullable", "arrow in pandas") and rng.uniform() < 0.6
    order = rng.permutation(count) if named else np.arange(count)
    rows = [row_names[k] for k in order] if named else range(count)
    if kind in ("tensor", "sparse", "arrow in pandas", "nullable", "polars", "arrow", "series", "frame", "polars series"):
        try:
            return Drawn(x, made[kind](x[order], rows), order, named)
        except Exception:  # what the container itself refuses never comes to us
            named, order = False, np.arange(count)
            kind = "array"
    return Drawn(x, made[kind](x[order], rows), order, named)


def annotated(rng, count: int, row_names: list[str]) -> Drawn:
    """Counts of an AnnData, as floats."""
    x = rng.poisson(2.0, (count, 4)).astype(rng.choice(["int32", "float32"]))
    order = rng.permutation(count)
    form = scipy.sparse.csr_matrix if rng.uniform() < 0.5 else np.asarray
    return Drawn(x.astype(np.float64), Annotated(form(x[order]), [row_names[k] for k in order], list("pqrs")), order, True)


def odd(rng) -> object:
    """Draw something that is no values at all."""
    return rng.choice(
        np.array([None, 7, "a/path.npy", {"a": 1}, {1, 2}, object(), b"ab", np.float64(2.0), len, iter([1])], object)
    )


def _mapped(x: np.ndarray, _) -> np.ndarray:
    if x.dtype == object or not x.size:
        return x
    with tempfile.TemporaryFile() as file:
        file.write(x.tobytes())
        file.flush()
        return np.memmap(file, x.dtype, "r", shape=x.shape)
