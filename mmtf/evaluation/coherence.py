"""Coherence: the share of generated values in which classifiers find the class that they should have.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import numpy as np

from mmtf.config import EvaluateConfig
from mmtf.data.dataset import Split
from mmtf.evaluation.coherence_scores import CoherenceScores
from mmtf.evaluation.generation import Generated, Graphs
from mmtf.metrics.specs import ARROW
from mmtf.modality import subset_key


class Coherence:
    """Conditional coherence of every modality from every subset, and random coherence, [S] C.2.2 and C.4.3.

    c is sampled from q(c|X_K) and private codes from their priors, and the classifiers see the decoder's mean: of a
    categorical modality its probabilities, as in the authors' release. Beside `coherence` stand
    `coherence_own_private`: the same for the modalities in K with their s_j from q(s_j|x_j), where there are private codes;
    `coherence_likeliest`: the same for the likeliest classes of categorical modalities, the text that a reader sees.
    """

    def __init__(
        self,
        model,
        test: Split,
        classifiers: Mapping[str, keras.Model],
        config: EvaluateConfig,
        generated: Generated | None = None,
    ):
        """Args:
        test: with labels.
        classifiers: per modality.
        generated: what is generated of the model as it is; without, the model may be trained on between measurements.
        """
        self._test, self._names, self._generated = test, model.names, generated
        self._scores, graphs = CoherenceScores(test, config), Graphs(model)
        self._fresh = lambda: Generated(model, test, config, classifiers, graphs=graphs)

    def measure(self) -> dict[str, dict[str, float]]:
        """Return scores by kind and by `random` or `Y<-K`, rounded to four places."""
        return self._scores.means(*self._logits())

    def report(self, class_names: Sequence[str]) -> dict:
        """Return what `measure` returns, its standard errors, and with many labels the score of each."""
        return self._scores.report(*self._logits(), class_names)

    def _logits(self) -> tuple[dict[str, np.ndarray], dict[str, dict[str, np.ndarray]]]:
        """Return logits: by modality of random samples; by kind and `Y<-K` of the test examples that have all of K."""
        generated = self._generated or self._fresh()
        by_kind = {
            kind: {
                f"{name}{ARROW}{subset_key(subset, self._names)}": logits[self._test.has(subset)]
                for (name, subset), logits in by_place.items()
            }
            for kind, by_place in generated.logits().items()
        }
        return generated.random_logits(), by_kind
