"""What measurements with labels have in common: their unit, classifiers, and numbers of single attributes by name."""

from __future__ import annotations

import functools
import itertools
import logging
from collections.abc import Mapping, Sequence

import keras
import numpy as np

from mmtf import registry
from mmtf.config import EvaluateConfig
from mmtf.data import cache
from mmtf.data.dataset import MultimodalData, Split
from mmtf.distributed import random
from mmtf.errors import UserError
from mmtf.evaluation.batches import rounded
from mmtf.metrics import classifier, precision

log = logging.getLogger(__name__)

# Per kind of measurement, and per key in it such as `scene<-digit`, a share; or one average precision for each of L attributes.
Scores = dict[str, dict[str, "float | np.ndarray"]]


def score_name(data: MultimodalData) -> str | None:
    """Return what probes and coherence are measured in: `accuracy`, `average_precision`, or None where there are no labels."""
    if data.train.label is None or data.test.label is None:
        return None
    return "average_precision" if data.multi_label else "accuracy"


def check_labels(data: MultimodalData, test: Split) -> None:
    """Raise UserError, before long work, where not one attribute is there in some examples and absent in others."""
    if score_name(data) == "average_precision":
        for name, split in (("training", data.train), ("test", test)):
            if not precision.varied(split.label).any():
                raise UserError(
                    f"Each attribute of {data.name} is there in all or in none of the {len(split)} {name} examples, so that "
                    "nothing can be scored; use more examples (for testing, --test_examples)."
                )


def prevalence(split: Split, class_names: Sequence[str]) -> dict[str, float]:
    """Return share of the examples that have each attribute: the average precision of random scores."""
    return named(split.label.mean(axis=0), class_names)


def train_classifiers(data: MultimodalData, config: EvaluateConfig) -> dict[str, keras.Model]:
    """Return one coherence classifier per modality, trained on the training values, or taken from the cache.

    None without labels.
    """
    if score_name(data) is None:
        return {}
    classifiers = {}
    for m in data.modalities:
        seed = random.derived_seed(config.evaluation_seed, f"classifier/{m.name}")
        classifiers[m.name] = classifier.cached(
            functools.partial(registry.classifier_of(data.name, m), m, len(data.class_names), seed=seed),
            *unimodal(data.train, m.name),
            cache_dir=cache.folder(config.cache_dir),
            key_parts={"dataset": data.name, "modality": m.name},
            seed=seed,
            epochs=registry.classifier_epochs(data.name, m.name),
            test=unimodal(data.test, m.name) if data.test.has([m.name]).any() else None,
        )
    return classifiers


def classifier_scores(data: MultimodalData, classifiers: Mapping[str, keras.Model]) -> dict[str, dict]:
    """Return score of each coherence classifier on its modality's test values: the ceiling of what coherence can be.

    Returns:
      `classifier_accuracy`; or `classifier_average_precision`, with `classifier_by_label`. A modality that no test example has
      is left out.
    """
    score = classifier.precisions if data.multi_label else classifier.accuracy
    shown = {name: model for name, model in classifiers.items() if data.test.has([name]).any()}
    scores = {name: score(model, *unimodal(data.test, name)) for name, model in shown.items()}
    means = mean_scores({f"classifier_{score_name(data)}": scores})
    return means | ({"classifier_by_label": scores_by_label(scores, data.class_names)} if data.multi_label else {})


def scale(data: MultimodalData, test: Split) -> dict:
    """What scores are measured in, and of attributes the least that they can come to: probes and coherence have both alike."""
    least = {"label_prevalence": prevalence(test, data.class_names)} if data.multi_label else {}
    return {"score": score_name(data), **least}


def in_context(coherence: Mapping, data: MultimodalData, test: Split, classifiers: Mapping[str, keras.Model]) -> dict:
    """Return coherence with what it is measured in, and the most that it can come to."""
    return {**scale(data, test), **coherence, **classifier_scores(data, classifiers)}


def unimodal(split: Split, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The distinct values of one modality that the pairs use, and their labels: `[n, *event_shape]`, `[n]` or `[n, L]`."""
    present = split.at(split.has([name]))
    rows, first = np.unique(present.rows[name], return_index=True)
    pool = present.pools[name]
    # All of a pool is the pool itself: photographs fill gigabytes.
    return pool if len(rows) == len(pool) else pool[rows], present.label[first]


def mean_scores(scores: Scores) -> dict[str, dict[str, float]]:
    """Rounded; of several attributes the mean of those that are not left out. A score of none of them has no mean."""
    means = {kind: {key: np.nanmean(x) for key, x in part.items() if not np.isnan(x).all()} for kind, part in scores.items()}
    return {kind: {key: rounded(x) for key, x in part.items()} for kind, part in means.items()}


def scores_by_label(scores: Mapping[str, np.ndarray], class_names: Sequence[str]) -> dict[str, dict[str, float]]:
    return {key: named(x, class_names) for key, x in scores.items()}


def named(values: np.ndarray, class_names: Sequence[str]) -> dict[str, float]:
    """Return values `[L]` by their attribute's name; one that was left out is not there."""
    return {name: rounded(value) for name, value in zip(class_names, values, strict=True) if not np.isnan(value)}


def left_out(scores: Scores, class_names: Sequence[str]) -> dict[str, dict[str, list[str]]]:
    """`<kind>_left_out`: per key the attributes that its mean leaves out; only where there are any."""
    by_key = {}
    for kind, part in scores.items():
        missing = {
            key: [name for name, x in zip(class_names, values, strict=True) if np.isnan(x)] for key, values in part.items()
        }
        if any(missing.values()):
            by_key[f"{kind}_left_out"] = {key: names for key, names in missing.items() if names}
            names = sorted(set(itertools.chain(*missing.values())))
            log.warning("%s leaves out attributes that all or none of its examples have: %s.", kind, ", ".join(names))
    return by_key
