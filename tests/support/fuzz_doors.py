"""The doors by which values come in, with drawn input: each case ends in a right answer or in a UserError that says why."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import fuzz_input
import numpy as np
import pandas
import small_served
import tensorflow as tf

import mmtf
from mmtf import registry, text
from mmtf.config import Config, DataConfig, ModelConfig
from mmtf.errors import UserError

KINDS = ["real", "whole", "bool", "names", "gaps", "category", "dates"]
SETTINGS = ['{"order": ["b", "a"]}', "{", "[]", '{"likelihoods": {"a": "normal"}}', '{"class_names": ["x"]}']
LONGEST = 10.0  # seconds


class WrongError(Exception):
    """A case ended otherwise than in a right answer or a UserError."""


def expected(d: fuzz_input.Drawn, base: np.ndarray | None) -> np.ndarray:
    """Return the values in the order that the data set should have: that of the first part with named rows."""
    return d.clean[base] if d.named else d.clean


def check_pool(modality, pool: np.ndarray, is_present: np.ndarray, clean: np.ndarray) -> None:
    """Raise WrongError where the pool does not hold the values of the examples that have the modality."""
    clean = clean[:, None] if clean.ndim == 1 and not modality.alphabet else clean
    if modality.alphabet:
        wanted = [str(s or "").lower().rstrip() for s in clean]
        found = [s.rstrip() for s in text.decode(pool)]
        good = [f == w for f, w, p in zip(found, wanted, is_present, strict=True) if p]
    elif modality.categories:
        names = [[modality.categories[k][c] if c >= 0 else None for k, c in enumerate(row)] for row in pool]
        good = [list(map(_name, w)) == f for f, w, p in zip(names, clean.tolist(), is_present, strict=True) if p]
    else:
        values = pandas.DataFrame(clean.reshape(len(clean), -1)).to_numpy(dtype=float)
        found = pool.reshape(len(pool), -1).astype(float)
        if modality.likelihood == "categorical":
            values = np.where(np.isnan(values), -1, values)
        else:
            values = values.astype(np.float32).astype(float)
        good = [np.array_equal(f, w, equal_nan=True) for f, w, p in zip(found, values, is_present, strict=True) if p]
    if not all(good):
        raise WrongError(f"{modality}: {sum(good)} of {len(good)} values are right")
    if modality.likelihood != "categorical" and not np.isfinite([*modality.location, *modality.spread]).all():
        raise WrongError(f"{modality}: units")


def _name(value):
    return None if value is None else str(value)


def presence(d: np.ndarray) -> np.ndarray:
    """Return which examples have a value at all."""
    there = np.array([x is not None for x in d.flat]).reshape(d.shape) if d.dtype == object else ~np.isnan(d.astype(float))
    return there if d.ndim == 1 else there.reshape(len(d), -1).any(axis=1)


def arrays(rng, work: Path) -> str:
    """from_arrays, and some of what it makes: codes of the container and of the plain values agree."""
    count = int(rng.integers(2, 40))
    row_names = [f"r{k}" for k in range(count)]
    parts = {}
    for name in ("a", "b", "c")[: rng.choice([2, 2, 2, 3, 1])]:
        size = count if rng.uniform() < 0.97 else count + 1
        kind = rng.uniform()
        make = fuzz_input.annotated if kind < 0.05 else fuzz_input.drawn
        parts[name] = make(rng, size, row_names if size == count else [*row_names, "more"])
    values = {n: d.given for n, d in parts.items()}
    if rng.uniform() < 0.03:
        values["b"] = fuzz_input.odd(rng)
    if rng.uniform() < 0.03:
        values[rng.choice(["größe", "_x", "class", "any", "a b", "a\n"])] = rng.normal(size=(count, 2))
    how = {}
    if rng.uniform() < 0.3:
        how["likelihoods"] = {"a": rng.choice(["normal", "laplace", "bernoulli", "categorical", "negative_binomial", "gauss"])}
    if rng.uniform() < 0.1:
        how["masks"] = {"a": rng.choice(np.array([0, 1]), count).astype(rng.choice(["bool", "int64"]))}
    in_test = rng.uniform(size=count) < 0.3
    how["test"] = in_test if rng.uniform() < 0.9 else fuzz_input.odd(rng)
    label = None
    if rng.uniform() < 0.4:
        label = np.array(["t", "b", "nk"])[np.arange(count) % 3]
        how["labels"] = label
        if rng.uniform() < 0.1:
            how["labels"], label = fuzz_input.odd(rng), None
    data = mmtf.from_arrays(values, **how)
    first = next((d for d in parts.values() if d.named), None)
    base = None if first is None else first.order
    for m in data.modalities:
        clean = expected(parts[m.name], base)
        present = presence(clean)
        if m.name in how.get("masks", {}):
            present = present & how["masks"][m.name]
        if m.likelihood == "categorical" and not m.alphabet and clean.dtype != object:
            present = present & (np.nan_to_num(clean.reshape(count, -1).astype(float), nan=-1) >= 0).any(axis=1)
        for split, chosen in ((data.train, ~in_test), (data.test, in_test)):
            there = split.mask[m.name] if split.mask else np.ones(len(split), bool)
            if not np.array_equal(there, present[chosen]):
                raise WrongError(f"{m.name}: who has it")
            check_pool(m, split.pools[m.name], there, clean[chosen])
    if label is not None and not np.array_equal(np.array(data.class_names)[data.train.label], label[~in_test]):
        raise WrongError("labels")
    if rng.uniform() < 0.04:
        check_verbs(data, parts)
    if rng.uniform() < 0.002:
        check_work(data, work)
    return "accepted"


def check_verbs(data, parts) -> None:
    """Hold verbs to taking what from_arrays took, with the answer of plain values."""
    config = Config(DataConfig("arrays"), ModelConfig("mmjsd", shared_dim=2))
    model = registry.build_model(config, registry.configure(data.modalities, config.model))
    for m in data.modalities:
        present = presence(parts[m.name].clean)[parts[m.name].order]
        found = model.encode({m.name: parts[m.name].given}, mask={m.name: present}).shared[m.name].loc.numpy()
        if not np.isfinite(found[present]).all():
            raise WrongError(f"{m.name}: codes that are no numbers")
        clean = parts[m.name].clean[parts[m.name].order]
        if clean.dtype != object:
            plain = clean.astype(np.uint8 if m.has_pixels and clean.dtype == np.uint8 else np.float64)
            plain = (plain[:, None] if plain.ndim == 1 else plain).reshape(len(plain), *m.event_shape)
            wanted = model.encode({m.name: plain}, mask={m.name: present}).shared[m.name].loc.numpy()
            if not np.array_equal(found[present], wanted[present]):
                raise WrongError(f"{m.name}: codes of {type(parts[m.name].given)} are not those of its values")


def check_work(data, work: Path) -> None:
    """Train, evaluate, and look for numbers that are none."""
    run = mmtf.train(data, run_dir=Path(tempfile.mkdtemp(dir=work)) / "run", steps=2, batch_size=2, shared_dim=2)
    mmtf.evaluate(run)
    content = (run.path / "metrics.json").read_text()
    json.loads(content, parse_constant=_refused)


def _refused(constant):
    raise WrongError(f"metrics.json has {constant}")


def table(rng, work: Path) -> str:
    """from_dataframe, of columns of mixed kinds."""
    count = int(rng.integers(4, 30))
    columns, kinds = {}, {}
    for name in "pqrs":
        kind = rng.choice(KINDS, p=[0.35, 0.15, 0.1, 0.2, 0.1, 0.08, 0.02])
        columns[name] = {
            "real": lambda: rng.normal(size=count),
            "whole": lambda: rng.integers(0, 9, count),
            "bool": lambda: rng.uniform(size=count) < 0.5,
            "names": lambda: np.array(["x", "y", "z"], object)[rng.integers(3, size=count)],
            "gaps": lambda: np.where(rng.uniform(size=count) < 0.2, np.nan, rng.normal(size=count)),
            "category": lambda: pandas.Categorical(rng.choice(["u", "v"], count), categories=["v", "u", "w"]),
            "dates": lambda: pandas.date_range("2020-01-01", periods=count),
        }[kind]()
        kinds[name] = kind
    frame = pandas.DataFrame(columns)
    plain = frame
    form = rng.integers(4)
    if form == 1:
        frame = frame.convert_dtypes()
    elif form == 2:
        frame = {name: frame[name].to_numpy() for name in frame}
    elif form == 3:
        frame = frame.iloc[:, ::-1]
    groups = {"a": ["p", "q"], "b": ["r", "s"] if rng.uniform() < 0.9 else ["r", "missing"]}
    data = mmtf.from_dataframe(frame, groups, test=[0, 1], standardise=bool(rng.integers(2)))
    for m in data.modalities:
        for place, name in enumerate(groups[m.name]):
            there = data.train.mask[m.name] if data.train.mask else np.ones(count - 2, bool)
            found, wanted = data.train.pools[m.name][there, place], plain[name].to_numpy()[2:][there]
            if m.categories:
                spelled = np.array([m.categories[place][c] if c >= 0 else None for c in found], object)
                good = np.array_equal(spelled, np.asarray(wanted, object))
            else:
                good = np.array_equal(found.astype(float), np.asarray(wanted, float).astype("f4").astype(float), equal_nan=True)
            if not good:
                raise WrongError(f"column {name} ({kinds[name]})")
    return "accepted"


def folder(rng, work: Path) -> str:
    """A folder of .npy files, some of them broken."""
    count, root = int(rng.integers(4, 30)), Path(tempfile.mkdtemp(dir=work))
    clean = {}
    for name in ("a", "b"):
        x = fuzz_input.numbers(rng, count)
        clean[name] = x.astype(np.float64) if x.dtype == np.longdouble else x
        np.save(root / f"{name}.npy", clean[name])
    in_test = rng.uniform(size=count) < 0.3
    np.save(root / "test.npy", in_test)
    broken = rng.uniform()
    if broken < 0.1:
        content = (root / "a.npy").read_bytes()
        (root / "a.npy").write_bytes(content[: rng.integers(len(content))])
    elif broken < 0.2:
        settings = rng.choice(
            ['{"order": ["b", "a"]}', "{", "[]", '{"likelihoods": {"a": "normal"}}', '{"class_names": ["x"]}']
        )
        (root / "arrays.json").write_text(settings)
    elif broken < 0.25:
        np.save(root / "labels.npy", rng.normal(size=count))
    data = registry.load_data(DataConfig("arrays", data_dir=str(root)))
    for m in data.modalities:
        there = data.train.mask[m.name] if data.train.mask else np.ones(len(data.train), bool)
        check_pool(m, data.train.pools[m.name], there, clean[m.name][~in_test])
    return "accepted"


_MODELS: dict = {}


def verbs(rng, work: Path) -> str:
    """Every verb of a model, with anything."""
    if "model" not in _MODELS:
        source = np.random.default_rng(0)
        made = {"pixels": source.integers(0, 256, (20, 4, 4, 1), np.uint8), "real": source.normal(size=(20, 3)),
                "counts": source.poisson(3.0, (20, 3)).astype(float), "word": np.array(["ab", "c"] * 10)}  # fmt: skip
        data = mmtf.from_arrays(made)
        config = Config(DataConfig("arrays"), ModelConfig("mopoe", shared_dim=2, private_dim=1))
        _MODELS["model"] = registry.build_model(config, registry.configure(data.modalities, config.model))
    model = _MODELS["model"]
    count = int(rng.integers(1, 6))
    rows = [f"r{k}" for k in range(count)]
    names = list(rng.permutation([*model.names, "other"]))[: rng.integers(1, 4)]
    values = {}
    for name in names:
        x = fuzz_input.drawn(rng, count, rows).given
        if name in model.modalities and rng.uniform() < 0.7:
            m = model.modalities[name]
            fit = {"pixels": rng.integers(0, 256, (count, 4, 4, 1), np.uint8), "real": rng.normal(size=(count, 3)),
                   "counts": rng.poisson(3.0, (count, 3)), "word": np.array(["a"] * count)}[m.name]  # fmt: skip
            x = fit.tolist() if rng.uniform() < 0.2 and name != "pixels" else fit
        values[name] = x if rng.uniform() < 0.97 else fuzz_input.odd(rng)
    mask = None
    if rng.uniform() < 0.3:
        mask = {names[0]: rng.choice(np.array([True, False]), count + (rng.uniform() < 0.2))}
    seed = rng.choice(np.array([None, (0, 1), 5, (1.5, 2.5), "x"], object))
    verb = rng.choice(["encode", "posterior", "posteriors", "reconstruct", "translate", "generate", "decode"])
    if verb == "generate":
        n = rng.choice(np.array([0, 1, 3, -1, 2.5, np.int64(2), True, None, "3"], object))
        answer = model.generate(n, seed=(0, 0) if seed is None else seed)
        if any(len(x) != n for x in answer.values()):
            raise WrongError("generate: another number of samples")
    elif verb == "decode":
        codes = fuzz_input.drawn(rng, count, rows).given if rng.uniform() < 0.5 else rng.normal(size=(count, 2))
        answer = {n: p.mean() for n, p in model.decode(codes).items() if n != "word"}
    elif verb in ("reconstruct", "translate"):
        answer = getattr(model, verb)(values, mask=mask, seed=seed)
    elif verb == "encode":
        codes = model.encode(values, mask)
        there = {n: np.asarray(mask[n]) if mask and n in mask else np.ones(count, bool) for n in codes.shared}
        answer = {n: q.loc.numpy()[there[n]] for n, q in codes.shared.items()}
    else:
        found = getattr(model, verb)(values, mask=mask)
        answer = {str(k): q.mean() for k, q in (found.items() if verb == "posteriors" else [("all", found)])}
    if not all(np.isfinite(np.asarray(x, float)).all() for x in answer.values()):
        raise WrongError(f"{verb}: numbers that are none")
    return "accepted"


def served(rng, work: Path) -> str:
    """Signatures of an exported model, with numbers of any size, NaN, shapes that do not fit, and masks."""
    if "served" not in _MODELS:
        run = small_served.started(Path(tempfile.mkdtemp(dir=work)) / "run")
        _MODELS["served"] = tf.saved_model.load(str(mmtf.export(run, Path(tempfile.mkdtemp(dir=work)) / "served"))).signatures
    signature = _MODELS["served"][rng.choice(["encode", "encode_any", "translate_vector", "reconstruct_any", "encode_raw"])]
    count, inputs = int(rng.integers(1, 5)), {}
    for name, spec in signature.structured_input_signature[1].items():
        rows = count + (rng.uniform() < 0.03)
        shape = (rows, *spec.shape[1:]) if rng.uniform() < 0.97 else (rows, 7)
        if spec.dtype == tf.string:
            x = np.array(["one", "two", "longer than it", "ü"])[rng.choice(4, shape, p=[0.5, 0.46, 0.02, 0.02])]
        elif spec.dtype == tf.bool:
            x = rng.uniform(size=shape) < 0.8
        elif spec.dtype.is_integer:
            x = rng.integers(0, 70 if rng.uniform() < 0.95 else 300, shape).astype(spec.dtype.as_numpy_dtype)
        else:
            x = rng.uniform(0, 1, shape).astype(np.float32)
            x = x * np.float32(rng.choice([1, 1, 1, 1, 300, 1e30]))
            x[rng.uniform(size=shape) < rng.choice([0, 0, 0, 0.05])] = np.nan
        inputs[name] = tf.constant(x)
    try:
        answer = signature(**inputs)
    except (tf.errors.InvalidArgumentError, TypeError, ValueError) as error:
        # What a client is told by the graph, or by TensorFlow's check of the signature.
        raise UserError(str(error)) from error
    huge = any(x.dtype.is_floating and float(tf.reduce_max(tf.abs(tf.where(x == x, x, 0.0)))) > 1e3 for x in inputs.values())
    numbers = [x.numpy() for x in answer.values() if x.dtype.is_floating]
    if not huge and not all(np.isfinite(x).all() for x in numbers):
        raise WrongError(f"{signature.name}: numbers that are none")
    return "accepted"


DOORS = {arrays: 0.45, table: 0.15, folder: 0.1, verbs: 0.2, served: 0.1}


def case(seed: int, work: Path) -> tuple[str, str]:
    """Return the door of one case and how it ended: "accepted" or "refused".

    Raises:
      WrongError: it ended otherwise, or took too long.
    """
    rng = np.random.default_rng([20, seed])
    door = rng.choice(list(DOORS), p=list(DOORS.values()))
    start = time.monotonic()
    worked = len(list(work.iterdir()))
    try:
        ended = door(rng, work)
    except UserError as error:
        if not str(error).strip():
            raise WrongError(f"case {seed} ({door.__name__}): a UserError without a word") from error
        ended = "refused"
    except Exception as error:
        raise WrongError(f"case {seed} ({door.__name__}): {type(error).__name__}: {error}") from error
    # Where it trained or exported, that takes its time.
    trained = door in (arrays, served) and len(list(work.iterdir())) > worked
    if time.monotonic() - start > LONGEST and not trained:
        raise WrongError(f"case {seed} ({door.__name__}) took {time.monotonic() - start:.0f} s")
    return door.__name__, ended
