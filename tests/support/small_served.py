"""Small runs to export and serve: of an image, a text and a vector, by the networks of own arrays, with random weights."""

import functools

import numpy as np
import shared

from mmtf import registry
from mmtf.config import Config, DataConfig, ModelConfig, TrainConfig
from mmtf.data import from_arrays, record
from mmtf.runs import RunDirectory
from mmtf.runs.checkpoint import Checkpoints
from mmtf.serving import signatures
from mmtf.verbs import export

NAMES = ("image", "text", "vector")
WORDS = ("one", "two", "three", "four")
STEPS = 2
COUNT = 20


@functools.cache
def data():
    """Bytes `[4, 4, 1]`, words of at most 5 characters, and 3 numbers in a unit of their own; labels. Not to be written to."""
    rng = np.random.default_rng(0)
    label = np.arange(COUNT) % len(WORDS)
    image, vector = rng.integers(0, 256, (COUNT, 4, 4), np.uint8), rng.normal(7, 3, (COUNT, 3))
    return from_arrays({"image": image, "text": np.array(WORDS)[label], "vector": vector}, label, test=0.5)


def values(split, rows=slice(None)):
    """Examples as the model's verbs and the plain signatures take them."""
    batch = split.take(rows)
    return {n: x / np.float32(255) if x.dtype == np.uint8 else x for n, x in batch.items()}


def shown(answer):
    """What is served of what a verb says: pixels within 0..1."""
    return {n: np.clip(x, 0, 1) if n == "image" else np.asarray(x) for n, x in answer.items()}


def started(path, kind="mvae", given=None):
    """A run as `train` leaves it after two steps, but that no step was taken. given: data, by default those above."""
    given, train = given or data(), TrainConfig(batch_size=8, steps=STEPS)
    settings = Config(DataConfig("arrays"), ModelConfig(kind, shared_dim=4, private_dim=2), train)
    modalities = registry.configure(given.modalities, settings.model)
    run = RunDirectory.claim(path, settings)
    run.begin(settings, modalities, record.files(given))
    run.write_json("training.json", {"steps": STEPS, "planned_steps": STEPS, "seconds": 1.0})
    checkpoints = Checkpoints(run.checkpoints, model_of(settings, modalities).named_weights())
    checkpoints.save(STEPS)
    checkpoints.close()
    return run


def model_of(settings, modalities):
    """A model whose every weight matters: those of a fresh one are too small, or 0."""
    model, rng = registry.build_model(settings, modalities), np.random.default_rng(1)
    for v in model.named_weights().values():
        v.assign(rng.normal(0, np.prod(v.shape[:-1]) ** -0.5 if len(v.shape) > 1 else 0.2, v.shape))
    return model


def run(place):
    """An MVAE, whose signatures are the fastest to make: one for a session. Not to be written to."""
    return RunDirectory.open(shared.once(place, "small_run", started))


def exported(place):
    """The first version of that run's exports, with TFLite."""
    of = run(place).path
    return shared.once(place, "small_export", lambda path: export.export(of, path, tflite=True)) / "1"


def raw(model, name):
    """A raw signature of a model by its plain name, without all the others."""
    verb = signatures.verbs_of(model)[name]
    return signatures._raw(verb.traced(), verb, {})
