"""How a served model bears load: requests to all signatures, of random batches and sets of modalities, from several threads.

There is no server here: the threads call the functions of one loaded SavedModel, as a server's threads do. What a network and
the encoding of requests cost comes on top.
"""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from mmtf.config import Config, DataConfig, ModelConfig, TrainConfig
from mmtf.errors import UserError
from mmtf.modality import Modality
from mmtf.serving.requests import PRESENT
from mmtf.serving.signatures import CANDIDATES, QUERIES
from mmtf.verbs import export
from mmtf.verbs import train as training

LARGEST_BATCH = 32
# Requests of each signature before anything is measured: threads, buffers and kernels are made by the first ones.
WARM_UP = 40
# Filling that nothing may depend on.
FILLERS = {"f": np.nan, "i": -(2**31), "u": 255}
HEADER = ("signature", "requests", "p50 ms", "p90 ms", "p99 ms", "examples/s")


@dataclasses.dataclass(frozen=True)
class Load:
    """What was measured.

    Attributes:
      rows: per signature that answered its name, requests that it answered, 50th, 90th and 99th percentile of their
        milliseconds under the load, and examples that one thread had answered per second.
      seconds: of all of it; requests: that were sent after warm-up, those that failed among them.
      resident: bytes of memory after warm-up and after each tenth of the requests; None where the system does not say.
      errors: messages of the requests that failed.
    """

    rows: list[tuple]
    seconds: float
    requests: int
    resident: list[int | None]
    errors: list[str]

    @property
    def growth(self) -> int | None:
        """Bytes by which the memory at the end is above that after the first tenth of the requests; None: not measured."""
        return None if None in self.resident else self.resident[-1] - self.resident[1]


def report(requests: int, threads: int) -> dict:
    """`load` of our mmJSD on the embedded digits, as JSON, and printed; of so few training steps that they cost nothing."""
    train = TrainConfig(batch_size=64, steps=10, panels_every=0)
    config = Config(DataConfig("digits", pairings=1), ModelConfig("mmjsd", shared_dim=20), train)
    with tempfile.TemporaryDirectory() as folder:
        run = training.train(config, Path(folder) / "run")
        found = load(export.export(run.path, Path(folder) / "served"), requests, threads)
    print(f"\nServing, {threads} threads\n\n{table(found)}", flush=True)
    rows = {name: dict(zip(HEADER[1:], (count, *np.round(rest, 2)), strict=True)) for name, count, *rest in found.rows}
    summary = {"requests": found.requests, "threads": threads, "seconds": round(found.seconds, 1), "errors": found.errors}
    return summary | {"grown_mb": None if found.growth is None else round(found.growth / 2**20, 1), "rows": rows}


def problems(reported: Mapping) -> list[str]:
    """A sentence where requests failed, of what `report` returned."""
    errors = reported["errors"]
    return [f"Serving: {len(errors)} of the requests failed, the first: {errors[0]}"] if errors else []


def load(model_dir: str | Path, requests: int = 10_000, threads: int = 8, seed: int = 0) -> Load:
    """Ask a SavedModel so often, after a warm-up. Raises UserError as `modalities_of`."""
    modalities = modalities_of(model_dir)
    return measured(tf.saved_model.load(str(model_dir)).signatures, modalities, requests, threads, seed)


def measured(
    signatures: Mapping, modalities: Mapping[str, Modality], requests: int, threads: int, seed: int = 0, warm_up: int = WARM_UP
) -> Load:
    """Return the same of signatures that are loaded, those asked in turn. warm_up: requests of each before."""
    names = sorted(signatures)

    def asked(number: int) -> tuple[str, int, float, str]:
        rng = np.random.default_rng([seed, number])
        name = names[number % len(names)]
        inputs, size = request(signatures[name], modalities, rng)
        start = time.perf_counter()
        try:
            for x in signatures[name](**inputs).values():
                x.numpy()
            error = ""
        except tf.errors.OpError as caught:
            error = f"{name}: {caught.message}"
        return name, size, time.perf_counter() - start, error

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        first = warm_up * len(names)
        errors = [error for *_, error in pool.map(asked, range(first)) if error]
        resident, found, start = [resident_bytes()], [], time.perf_counter()
        for part in np.array_split(np.arange(first, first + requests), 10):
            found += pool.map(asked, part.tolist())
            resident.append(resident_bytes())
        seconds = time.perf_counter() - start
    return Load(_rows(found), seconds, len(found), resident, errors + [error for *_, error in found if error])


def request(function, modalities: Mapping[str, Modality], rng: np.random.Generator) -> tuple[dict[str, tf.Tensor], int]:
    """Return inputs of a signature, of a random size, each example with modalities of its own.

    And how many examples these are.
    """
    specs, size = function.structured_input_signature[1], int(rng.integers(1, LARGEST_BATCH + 1))
    present = _present([n for n in modalities if PRESENT.format(n) in specs], size, rng)
    found = {}
    for name, spec in specs.items():
        # A code may be called like a modality.
        if name in modalities and _is_value(modalities[name], spec):
            x = values(modalities[name], spec, size, rng)
            found[name] = _filled(x, present[name]) if name in present else x
        else:
            found[name] = _other(name, spec, size, rng)
    found |= {PRESENT.format(n): there for n, there in present.items()}
    answered = int(found["n"]) if len(found) == 2 and "n" in found else size
    return {n: tf.constant(x, specs[n].dtype) for n, x in found.items()}, answered


def values(modality: Modality, spec: tf.TensorSpec, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return random values that a signature accepts, `[size, ...]`."""
    shape = (size, *modality.event_shape)
    if spec.dtype == tf.string:
        letters = np.array(list(modality.alphabet))
        return np.array(["".join(rng.choice(letters, rng.integers(0, modality.size + 1))) for _ in range(size)])
    if spec.dtype == tf.uint8:
        return rng.integers(0, 256, shape, np.uint8)
    if modality.likelihood == "categorical":
        return rng.integers(0, modality.num_classes, shape).astype(np.int32)
    if modality.likelihood == "negative_binomial":
        return rng.integers(0, 20, shape).astype(np.float32)
    return rng.uniform(size=shape).astype(np.float32)


def modalities_of(model_dir: str | Path) -> dict[str, Modality]:
    """Return what the model was exported of, by name.

    Raises:
      UserError: mmtf.json beside the model is missing or damaged.
    """
    path = Path(model_dir) / "assets.extra" / "mmtf.json"
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        return {m["name"]: Modality.from_json(m) for m in card["modalities"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({error!r}); export the model again with mmtf export.") from error


def table(found: Load) -> str:
    """A Markdown table of the rows, and a sentence on all of it."""
    lines = [f"| {' | '.join(HEADER)} |", "|---|" + "---:|" * (len(HEADER) - 1)]
    lines += [f"| `{name}` | {count} | {' | '.join(f'{x:.1f}' for x in rest)} |" for name, count, *rest in found.rows]
    lines.append(f"\n{found.requests} requests in {found.seconds:.0f} s, {len(found.errors)} errors; {_memory(found)}.")
    return "\n".join(lines)


def _memory(found: Load) -> str:
    if found.growth is None:
        return "memory was not measured: there is no /proc that says how much it is"
    return f"memory grew by {found.growth / 2**20:.0f} MB, from {found.resident[1] / 2**20:.0f} MB after the first tenth"


def resident_bytes() -> int | None:
    """Return memory of this process at the moment; None where there is no /proc."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def _rows(found: Sequence[tuple[str, int, float, str]]) -> list[tuple]:
    times, sizes = collections.defaultdict(list), collections.Counter()
    for name, size, seconds, error in found:
        if error:
            continue
        times[name].append(1000 * seconds)
        sizes[name] += size
    return [
        (name, len(x), *np.percentile(x, [50, 90, 99]).tolist(), 1000 * sizes[name] / sum(x))
        for name, x in sorted(times.items())
    ]


def _is_value(modality: Modality, spec: tf.TensorSpec) -> bool:
    return spec.dtype == tf.string or spec.shape[1:] == modality.event_shape


def _present(names: Sequence[str], size: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return masks `[size]`; every example has something."""
    if not names:
        return {}
    sets = rng.integers(1, 2 ** len(names), size)
    return {n: (sets >> place) % 2 == 1 for place, n in enumerate(names)}


def _filled(x: np.ndarray, there: np.ndarray) -> np.ndarray:
    filler = FILLERS.get(x.dtype.kind, "\N{SNOWMAN}" * 300)
    return np.where(there.reshape(-1, *[1] * (x.ndim - 1)), x, np.asarray(filler, x.dtype if x.dtype.kind != "U" else None))


def _other(name: str, spec: tf.TensorSpec, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return codes, embeddings, numbers of samples, seeds."""
    shape = [size if d is None else d for d in spec.shape]
    if spec.dtype == tf.int32:
        return rng.integers(1, 20, shape)
    draws = rng.normal(size=shape)
    return np.abs(draws) + 0.1 if name in (QUERIES, CANDIDATES) else draws
