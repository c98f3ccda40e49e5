"""What models are worth: arrays from a model's verbs, numbers from `mmtf.metrics`. Used by evaluate.py and during training.

Where each example has one class, probes and coherence are accuracies; where it has any number of attributes, they are average
precisions, their means over attributes ([S] C.4.3). An attribute that all or none of the examples in question have is left out
of them, and named beside them.
"""

from __future__ import annotations

import functools
import itertools
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from mmtf import catalog, runtime
from mmtf.config import EvaluateConfig
from mmtf.data import cache, pipeline
from mmtf.data.dataset import MultimodalData, Split
from mmtf.errors import UserError
from mmtf.metrics import classifier, coherence, precision, probe
from mmtf.modality import subset_key, subsets

log = logging.getLogger(__name__)

BATCH = 500
# [S] C.2.1 fits the probe on a single training batch.
PAPERS_BATCH = 256
DECIMALS = 4
ARROW = "<-"
# What a probe is called, by whose codes it reads.
PROBES = {"shared": "probe", "private": "probe_private", "both": "probe_both"}

# Per kind of measurement, and per key in it such as `scene<-digit`, a share; or one average precision for each of L attributes.
Scores = dict[str, dict[str, "float | np.ndarray"]]


def score_name(data: MultimodalData) -> str | None:
    """What probes and coherence are measured in: `accuracy`, `average_precision`, or None where there are no labels."""
    if data.train.label is None or data.test.label is None:
        return None
    return "average_precision" if data.multi_label else "accuracy"


def check_labels(data: MultimodalData, test: Split) -> None:
    """Raises UserError, before long work, where not one attribute is there in some examples and absent in others."""
    if score_name(data) == "average_precision":
        for name, split in (("training", data.train), ("test", test)):
            if not precision.varied(split.label).any():
                raise UserError(
                    f"Each attribute of {data.name} is there in all or in none of the {len(split)} {name} examples, so that "
                    "nothing can be scored; use more examples (for testing, --test_examples)."
                )


def prevalence(split: Split, class_names: Sequence[str]) -> dict[str, float]:
    """Share of the examples that have each attribute: the average precision of random scores."""
    return _named(split.label.mean(axis=0), class_names)


def objective_terms(model, test: Split, step: int, config: EvaluateConfig) -> dict[str, float]:
    """Mean per example of every term of the objective, with the divergences' weights of a step.

    Codes are drawn as in training, under the evaluation's seed and the batch's number. A term about modalities is averaged
    over the examples that have them, and left out where none does.
    """

    @tf.function(reduce_retracing=True)
    def terms(values, mask, seed, step):
        return model.terms(values, mask, runtime.Noise(seed, runtime.batch_size(values)), step)

    at = tf.constant(step, tf.int32)
    found = _in_batches(test, lambda batch, number: terms(*batch, _seed(config, number), at))
    there = {name: test.has(names) for name, names in model.terms_about().items()}
    # In double precision: over thousands of examples a sum in single precision loses the last digits of a mean.
    return {name: _rounded(found[name][t].mean(dtype=np.float64)) for name, t in there.items() if t.any()}


def latent_probes(model, data: MultimodalData, test: Split, config: EvaluateConfig) -> dict:
    """Linear classification of the posterior's mean for every subset, [S] C.2.1 and C.4.3.

    `probe` is fitted on many training examples; `probe_one_batch` on 256 of them, as many as the paper takes. Beside them, for
    each modality with a private code, `probe_private` is of the mean of q(s_j|x_j), `probe_both` of both codes ([C] Table 3).

    Args:
      test: the test examples to score, each with a label. A subset that no example has whole is left out, and so is one that
        the training examples of one class alone have.
    """
    chosen = np.random.default_rng(config.evaluation_seed).permutation(len(data.train))[: config.probe_examples]
    fit = data.train.at(chosen)
    fit_codes, test_codes = code_means(model, fit), code_means(model, test)
    score = probe.attribute_probes if data.multi_label else probe.linear_probe
    found = {"probe": {}, "probe_one_batch": {}}
    for kind, codes in fit_codes.items():
        for subset in _whole_somewhere(codes, fit, test):
            there, test_there = fit.has(subset), test.has(subset)
            given, labels = codes[subset][there], fit.label[there]
            counts = {PROBES[kind]: len(given)} | ({"probe_one_batch": PAPERS_BATCH} if kind == "shared" else {})
            for name, count in counts.items():
                if not data.multi_label and len(np.unique(labels[:count])) < 2:
                    log.warning("%s leaves out %s, which training examples of one class alone have.", name, ", ".join(subset))
                    continue
                found.setdefault(name, {})[subset_key(subset, model.names)] = score(
                    given[:count], labels[:count], test_codes[kind][subset][test_there], test.label[test_there]
                )
    if not data.multi_label:
        return _means(found)
    return _means(found) | {"probe_by_label": _by_label(found["probe"], data.class_names)} | _left_out(found, data.class_names)


class Coherence:
    """Conditional coherence of every modality from every subset, and random coherence, [S] C.2.2 and C.4.3.

    c is sampled from q(c|X_K) and private codes from their priors, and the classifiers see the decoder's mean: of a
    categorical modality its probabilities, as in the authors' release. Beside `coherence` stand
    `coherence_own_private`: the same for the modalities in K with their s_j from q(s_j|x_j), where there are private codes;
    `coherence_likeliest`: the same for the likeliest classes of categorical modalities, the text that a reader sees.
    """

    def __init__(self, model, test: Split, classifiers: Mapping[str, keras.Model], config: EvaluateConfig):
        """Args: test: with labels. classifiers: per modality. The model may be trained on between measurements."""
        self._test, self._classifiers, self._config, self._names = test, classifiers, config, model.names
        self._multi_label = test.label.ndim == 2
        self._all_from = tf.function(functools.partial(_all_from_all, model), reduce_retracing=True)
        self._random = tf.function(lambda seed: model.generate(BATCH, seed, mean=True))

    def measure(self) -> dict[str, dict[str, float]]:
        """Scores by kind and by `random` or `Y<-K`, rounded to four places."""
        return _means(self._scores(self._random_logits(), self._conditional_logits()))

    def report(self, class_names: Sequence[str]) -> dict:
        """What `measure` returns, its standard errors, and with many labels the score of each."""
        at_random, conditional = self._random_logits(), self._conditional_logits()
        scores = self._scores(at_random, conditional)
        means = _means(scores)
        if not self._multi_label:
            errors = standard_errors(means["coherence"], self._test, self._config.random_samples)
            return means | {"coherence_standard_error": errors}
        errors = self._bootstrap_errors(at_random, {k: conditional["coherence"][k] for k in means["coherence"] if ARROW in k})
        # The random one needs no label, and has none.
        by_label = {"coherence": {key: x for key, x in scores["coherence"].items() if ARROW in key}}
        return (
            means
            | {"coherence_by_label": _by_label(by_label["coherence"], class_names), "coherence_standard_error": errors}
            | _left_out(by_label, class_names)
        )

    def _scores(self, at_random: Mapping[str, np.ndarray], conditional: Mapping[str, Mapping[str, np.ndarray]]) -> Scores:
        """Args: as `_random_logits` and `_conditional_logits` return them."""
        # Agreement takes two modalities.
        found = {"coherence": {"random": self._agreement(at_random)} if len(at_random) > 1 else {}}
        for kind, logits in conditional.items():
            found.setdefault(kind, {}).update({key: self._score(x, self._labels(key)) for key, x in logits.items()})
        return found

    def _score(self, logits: np.ndarray, labels: np.ndarray) -> float | np.ndarray:
        if self._multi_label:
            return precision.average_precisions(logits, labels)
        return coherence.conditional_coherence(logits.argmax(axis=-1), labels)

    def _agreement(self, logits: Mapping[str, np.ndarray]) -> float:
        if self._multi_label:
            return float(precision.agreement(logits).mean())
        return coherence.joint_coherence({name: x.argmax(axis=-1) for name, x in logits.items()})

    def _bootstrap_errors(self, at_random: Mapping[str, np.ndarray], conditional: Mapping[str, np.ndarray]) -> dict[str, float]:
        seed, found = self._config.evaluation_seed, {}
        if len(at_random) > 1:
            shares = precision.agreement(at_random)
            found["random"] = shares.std() / np.sqrt(len(shares))
        found |= {key: precision.bootstrap_error(x, self._labels(key), seed) for key, x in conditional.items()}
        return {key: _rounded(error) for key, error in found.items()}

    def _labels(self, key: str) -> np.ndarray:
        return self._test.label[self._test.has(_given(key))]

    def _random_logits(self) -> dict[str, np.ndarray]:
        """Per modality what its classifier says of samples from the priors, `[random_samples, K]`."""
        count = self._config.random_samples
        numbers = range(-(-count // BATCH))
        parts = [self._classified(self._random(_seed(self._config, number))) for number in numbers]
        return {name: np.concatenate([part[name] for part in parts])[:count] for name in parts[0]}

    def _conditional_logits(self) -> dict[str, dict[str, np.ndarray]]:
        """By kind, and by `Y<-K`, what Y's classifier says of the test examples that have all of K, `[N_K, K]`."""

        def logits(batch, number):
            # Each batch at once: logits are small, what they were found in is not.
            generated = self._all_from(*batch, _seed(self._config, number))
            return {kind: self._classified(values) for kind, values in generated.items()}

        found = {}
        for kind, by_place in _in_batches(self._test, logits).items():
            for subset, name in itertools.product(_whole_somewhere(subsets(self._names), self._test), self._names):
                if (name, subset) in by_place:
                    key = f"{name}{ARROW}{subset_key(subset, self._names)}"
                    found.setdefault(kind, {})[key] = by_place[name, subset][self._test.has(subset)]
        return found

    def _classified(self, values: Mapping) -> dict:
        """Logits of values, whose keys are modalities, or modalities and where they were generated from."""
        classifiers = {key: self._classifiers[key if isinstance(key, str) else key[0]] for key in values}
        return {key: classifier.predict_scores(classifiers[key], np.asarray(x)) for key, x in values.items()}


def standard_errors(shares: Mapping[str, float], test: Split, samples: int) -> dict[str, float]:
    """Binomial standard error of each coherence: `random` from its samples, `Y<-K` from the examples that have all of K."""
    counts = {name: samples if name == "random" else test.has(_given(name)).sum() for name in shares}
    return {name: _rounded(coherence.standard_error(share, int(counts[name]))) for name, share in shares.items()}


def _all_from_all(model, values, mask, seed) -> dict[str, dict[tuple[str, tuple[str, ...]], tf.Tensor]]:
    """What `Coherence` judges: by kind, and by target modality and subset, generated values."""
    means, own, likeliest = {}, {}, {}
    for subset in subsets(model.names):
        given = {n: values[n] for n in subset}
        translated = model.translate(given, to=model.names, mask=mask, seed=seed, mean=True)
        means |= {(n, subset): x for n, x in translated.items()}
        texts = [n for n in translated if model.modalities[n].likelihood == "categorical"]
        likeliest |= {(n, subset): tf.argmax(translated[n], axis=-1, output_type=tf.int32) for n in texts}
        if any(model.modalities[n].private_dim for n in subset):
            own |= {(n, subset): x for n, x in model.reconstruct(given, mask, seed=seed, mean=True).items()}
    kinds = {"coherence": means, "coherence_own_private": own, "coherence_likeliest": likeliest}
    return {kind: found for kind, found in kinds.items() if found}


def code_means(model, split: Split) -> dict[str, dict[tuple[str, ...], np.ndarray]]:
    """Means of codes, `[N, D]` each; meaningless where a subset is not all there.

    Returns:
      `shared`: of q(c|X_K) for every subset K. Where there are private codes, `private`: of q(s_j|x_j), for the subset of j
      alone; and `both`: q(c|x_j) and q(s_j|x_j) side by side.
    """

    @tf.function(reduce_retracing=True)
    def means(values, mask):
        found = {"shared": {subset: q.mean() for subset, q in model.posteriors(values, mask).items()}}
        private = {(name,): q.mean() for name, q in model.encode(values, mask).private.items()}
        both = {subset: tf.concat([found["shared"][subset], s], axis=-1) for subset, s in private.items()}
        return found | ({"private": private, "both": both} if private else {})

    return _in_batches(split, lambda batch, number: means(*batch))


def classifier_scores(data: MultimodalData, classifiers: Mapping[str, keras.Model]) -> dict[str, dict]:
    """Score of each coherence classifier on its modality's test values: the ceiling of what coherence can be.

    Returns:
      `classifier_accuracy`; or `classifier_average_precision`, with `classifier_by_label`. A modality that no test example has
      is left out.
    """
    score = classifier.precisions if data.multi_label else classifier.accuracy
    shown = {name: model for name, model in classifiers.items() if data.test.has([name]).any()}
    found = {name: score(model, *unimodal(data.test, name)) for name, model in shown.items()}
    means = _means({f"classifier_{score_name(data)}": found})
    return means | ({"classifier_by_label": _by_label(found, data.class_names)} if data.multi_label else {})


def unimodal(split: Split, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The distinct values of one modality that the pairs use, and their labels: `[n, *event_shape]`, `[n]` or `[n, L]`."""
    there = split.at(split.has([name]))
    rows, first = np.unique(there.rows[name], return_index=True)
    pool = there.pools[name]
    # All of a pool is the pool itself: photographs fill gigabytes.
    return pool if len(rows) == len(pool) else pool[rows], there.label[first]


def train_classifiers(data: MultimodalData, config: EvaluateConfig) -> dict[str, keras.Model]:
    """One coherence classifier per modality, trained on the training values, or taken from the cache; none without labels."""
    if score_name(data) is None:
        return {}
    found = {}
    for m in data.modalities:
        seed = runtime.derived_seed(config.evaluation_seed, f"classifier/{m.name}")
        found[m.name] = classifier.cached(
            functools.partial(catalog.classifier_of(data.name, m), m, len(data.class_names), seed=seed),
            *unimodal(data.train, m.name),
            cache_dir=cache.folder(config.cache_dir),
            key_parts={"dataset": data.name, "modality": m.name},
            seed=seed,
            epochs=catalog.classifier_epochs(data.name, m.name),
            test=unimodal(data.test, m.name) if data.test.has([m.name]).any() else None,
        )
    return found


def _means(scores: Scores) -> dict[str, dict[str, float]]:
    """Rounded; of several attributes the mean of those that are not left out. A score of none of them has no mean."""
    means = {kind: {key: np.nanmean(x) for key, x in part.items() if not np.isnan(x).all()} for kind, part in scores.items()}
    return {kind: {key: _rounded(x) for key, x in part.items()} for kind, part in means.items()}


def _by_label(scores: Mapping[str, np.ndarray], class_names: Sequence[str]) -> dict[str, dict[str, float]]:
    return {key: _named(x, class_names) for key, x in scores.items()}


def _named(values: np.ndarray, class_names: Sequence[str]) -> dict[str, float]:
    """Values `[L]` by their attribute's name; one that was left out is not there."""
    return {name: _rounded(value) for name, value in zip(class_names, values, strict=True) if not np.isnan(value)}


def _left_out(scores: Scores, class_names: Sequence[str]) -> dict[str, dict[str, list[str]]]:
    """`<kind>_left_out`: per key the attributes that its mean leaves out; only where there are any."""
    found = {}
    for kind, part in scores.items():
        missing = {
            key: [name for name, x in zip(class_names, values, strict=True) if np.isnan(x)] for key, values in part.items()
        }
        if any(missing.values()):
            found[f"{kind}_left_out"] = {key: names for key, names in missing.items() if names}
            names = sorted(set(itertools.chain(*missing.values())))
            log.warning("%s leaves out attributes that all or none of its examples have: %s.", kind, ", ".join(names))
    return found


def _whole_somewhere(found: Iterable[tuple[str, ...]], *splits: Split) -> list[tuple[str, ...]]:
    """The subsets of which some example of every split has all."""
    return [subset for subset in found if all(split.has(subset).any() for split in splits)]


def _given(key: str) -> list[str]:
    """The modalities of K in `Y<-K`."""
    return key.split(ARROW)[1].split(",")


def _seed(config: EvaluateConfig, number: int) -> tf.Tensor:
    return tf.constant([config.evaluation_seed, number])


def _rounded(value) -> float:
    return round(float(value), DECIMALS)


def _in_batches(split: Split, function: Callable):
    """Concatenates what `function((values, mask), number)` returns for each batch: any nest of tensors, as arrays."""
    batches = pipeline.in_order(split, BATCH)
    parts = [function((batch["values"], batch.get("mask")), number) for number, batch in enumerate(batches)]
    return tf.nest.map_structure(lambda *arrays: np.concatenate([np.asarray(a) for a in arrays]), *parts)
