"""From what classifiers say of generated values to coherence, whoever generated them.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mmtf.config import EvaluateConfig
from mmtf.data.dataset import Split
from mmtf.evaluation.batches import given_in, rounded, share_of_examples
from mmtf.evaluation.labels import Scores, left_out, mean_scores, scores_by_label
from mmtf.metrics import coherence, intervals, precision
from mmtf.metrics.specs import ARROW

# By kind, and by `Y<-K`, what Y's classifier says of what was generated, `[N_K, K]`: row n is of the n-th example that has K.
Conditional = Mapping[str, Mapping[str, np.ndarray]]


class CoherenceScores:
    """Coherence of logits: of all modalities at random, `[n, K]` by modality, and `Conditional` ones against true labels."""

    def __init__(self, test: Split, config: EvaluateConfig):
        """Args: test: with labels."""
        self._test, self._config, self._multi_label = test, config, test.label.ndim == 2

    def means(self, at_random: Mapping[str, np.ndarray], conditional: Conditional) -> dict[str, dict[str, float]]:
        """Return scores by kind and by `random` or `Y<-K`, rounded to four places."""
        return mean_scores(self._scores(at_random, conditional))

    def report(self, at_random: Mapping[str, np.ndarray], conditional: Conditional, class_names: Sequence[str]) -> dict:
        """Return what `means` returns, how far `coherence` can be trusted, and with many labels the score of each."""
        scores = self._scores(at_random, conditional)
        means = mean_scores(scores)
        if not self._multi_label:
            return means | self._trusted(at_random, conditional["coherence"]) | self._as_published(at_random)
        errors = self._bootstrap_errors(at_random, {k: conditional["coherence"][k] for k in means["coherence"] if ARROW in k})
        # The random one needs no label, and has none.
        by_label = {"coherence": {key: x for key, x in scores["coherence"].items() if ARROW in key}}
        return (
            means
            | {"coherence_by_label": scores_by_label(by_label["coherence"], class_names), "coherence_standard_error": errors}
            | left_out(by_label, class_names)
        )

    def _scores(self, at_random: Mapping[str, np.ndarray], conditional: Conditional) -> Scores:
        # Agreement takes two modalities.
        scores = {"coherence": {"random": self._agreement(at_random)} if len(at_random) > 1 else {}}
        for kind, logits in conditional.items():
            scores.setdefault(kind, {}).update({key: self._score(x, self._examples(key, x).label) for key, x in logits.items()})
        return scores

    def _score(self, logits: np.ndarray, labels: np.ndarray) -> float | np.ndarray:
        if self._multi_label:
            return precision.average_precisions(logits, labels)
        return coherence.conditional_coherence(logits.argmax(axis=-1), labels)

    def _agreement(self, logits: Mapping[str, np.ndarray]) -> float:
        if self._multi_label:
            return float(precision.agreement(logits).mean())
        return coherence.joint_coherence({name: x.argmax(axis=-1) for name, x in logits.items()})

    def _trusted(self, at_random: Mapping[str, np.ndarray], conditional: Mapping[str, np.ndarray]) -> dict[str, dict]:
        """Return standard error and interval of each share; examples that come from the same value are not independent."""
        trusted = {}
        if len(at_random) > 1:
            classes = np.stack([x.argmax(axis=-1) for x in at_random.values()])
            trusted["random"] = intervals.share((classes == classes[0]).all(axis=0))
        for key, logits in conditional.items():
            examples = self._examples(key, logits)
            trusted[key] = share_of_examples(logits.argmax(axis=-1) == examples.label, examples)
        return {
            "coherence_standard_error": {key: rounded(x.standard_error) for key, x in trusted.items()},
            "coherence_interval": {key: [rounded(x.low), rounded(x.high)] for key, x in trusted.items()},
        }

    def _as_published(self, at_random: Mapping[str, np.ndarray]) -> dict[str, dict[str, float]]:
        """Return what the release of [S] counts as agreement, of three modalities; of others it says nothing."""
        if len(at_random) != 3:
            return {}
        classes = {name: x.argmax(axis=-1) for name, x in at_random.items()}
        return {"coherence_published": {"random": rounded(coherence.agreement_as_published(classes))}}

    def _bootstrap_errors(self, at_random: Mapping[str, np.ndarray], conditional: Mapping[str, np.ndarray]) -> dict[str, float]:
        seed, errors = self._config.evaluation_seed, {}
        if len(at_random) > 1:
            shares = precision.agreement(at_random)
            errors["random"] = shares.std() / np.sqrt(len(shares))
        errors |= {key: precision.bootstrap_error(x, self._examples(key, x).label, seed) for key, x in conditional.items()}
        return {key: rounded(error) for key, error in errors.items()}

    def _examples(self, key: str, logits: np.ndarray) -> Split:
        """Return the examples that these logits are of: the first ones that have all of K."""
        return self._test.at(self._test.has(given_in(key))).first(len(logits))
