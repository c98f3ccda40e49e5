"""Measurements of samples that somebody else made, `mmtf.data.samples`: by the code that evaluates a model's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import keras
import numpy as np

from mmtf.config import EvaluateConfig
from mmtf.data.dataset import MultimodalData, Split
from mmtf.data.samples import Samples
from mmtf.errors import UserError
from mmtf.evaluation.batches import given_in
from mmtf.evaluation.coherence_scores import CoherenceScores
from mmtf.evaluation.correlation import Pairs, correlated
from mmtf.evaluation.features import Features
from mmtf.evaluation.generation import classified
from mmtf.evaluation.labels import check_labels
from mmtf.evaluation.quality import RANDOM, Set, compared
from mmtf.metrics import prd, precision
from mmtf.metrics.specs import ARROW
from mmtf.modality import subset_key


def conditional_sets(samples: Samples, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the conditional samples by `Y<-K`. Args: names: of all modalities, in order."""
    return {
        f"{name}{ARROW}{subset_key(given, names)}": array
        for given, values in samples.given.items()
        for name, array in values.items()
    }


def check_external_labels(samples: Samples, data: MultimodalData, test: Split) -> None:
    """Raise UserError, before long work, where labels are such that all samples of a set would score alike."""
    if data.train.label is None or data.test.label is None:
        return
    if not (data.train.label.size and test.label.size and data.class_names):
        raise UserError(f"The labels of {data.name} are empty; give each example a class or attributes, or leave labels out.")
    check_labels(data, test)
    parts = {f"{len(data.train)} training examples": data.train.label}
    for key, values in conditional_sets(samples, data.names).items():
        given = given_in(key)
        parts[f"first {len(values)} test examples that have {','.join(given)}"] = test.label[test.has(given)][: len(values)]
    for name, labels in parts.items():
        if labels.ndim == 1 and len(np.unique(labels)) < 2:
            raise UserError(f"The {name} are all of one class, so that coherence says nothing; use examples of more classes.")
        if labels.ndim == 2 and not precision.varied(labels).any():
            raise UserError(f"Each attribute is there in all or in none of the {name}; make samples from more examples.")


def external_coherence(
    samples: Samples, data: MultimodalData, test: Split, classifiers: Mapping[str, keras.Model], config: EvaluateConfig
) -> dict:
    """`coherence` of docs/metrics.md with its intervals: of the values as they are."""
    at_random = {name: values[: config.random_samples] for name, values in samples.random.items()}
    sets = conditional_sets(samples, data.names)
    conditional = classified(classifiers, {tuple(key.split(ARROW)): x for key, x in sets.items()})
    conditional = {ARROW.join(place): logits for place, logits in conditional.items()}
    scores = CoherenceScores(test, config)
    return scores.report(classified(classifiers, at_random), {"coherence": conditional}, data.class_names)


def external_quality(
    samples: Samples, data: MultimodalData, test: Split, features: Features, config: EvaluateConfig
) -> tuple[dict[str, dict], dict[str, prd.PRD]]:
    """Return `evaluation.sample_quality` of every set of samples that is given."""

    def sets(name: str) -> Iterator[Set]:
        if name in samples.random:
            yield RANDOM, features.of(name, samples.random[name][: config.quality_samples])
        for key, values in conditional_sets(samples, data.names).items():
            if key.startswith(f"{name}{ARROW}"):
                yield key, features.of(name, values[: config.quality_samples])

    sampled = [n for n in data.names if n in samples.random or any(n in values for values in samples.given.values())]
    return compared(sets, sampled, data, test, features, config)


def external_correlations(
    samples: Samples, data: MultimodalData, test: Split, features: Features, config: EvaluateConfig
) -> dict[str, dict]:
    """Return `evaluation.correlations` of the pairs that are given: random ones, from each other, and both from both."""

    def generated(pair: tuple[str, str], paired: Split) -> dict:
        values = {}
        if samples.random:
            values["joint"] = Pairs({n: features.of(n, samples.random[n][: config.quality_samples]) for n in pair}, None)
        crosses = {f"{b}{ARROW}{a}": _crossed(samples, a, b, test, features, config) for a, b in (pair, pair[::-1])}
        crosses = {key: pairs for key, pairs in crosses.items() if pairs}
        if crosses:
            values["cross"] = crosses
        both = samples.given.get(pair, {})
        if set(pair) <= set(both):
            count = min(config.quality_samples, *(len(both[n]) for n in pair))
            values["synergy"] = Pairs({n: features.of(n, both[n][:count]) for n in pair}, paired.first(count))
        return values

    return correlated(generated, data.names, data, test, features, config)


def _crossed(
    samples: Samples, given: str, target: str, test: Split, features: Features, config: EvaluateConfig
) -> Pairs | None:
    """Return samples of the target beside the real values that they were generated from, of examples that have both."""
    values = samples.given.get((given,), {}).get(target)
    if values is None:
        return None
    made_from = np.flatnonzero(test.has((given,)))[: len(values)]
    (both,) = np.nonzero(test.has((target,))[made_from])
    both = both[: config.quality_samples]
    if not both.size:
        return None
    examples = test.at(made_from[both])
    return Pairs({given: features.of_examples(given, examples), target: features.of(target, values[both])}, examples)
