"""How the numbers of the papers' tables are measured here and were measured there: places in metrics.json, and footnotes.

`corrected` measures what the words say, `published` what the authors' releases do. Where only one of them is measured, both
take it and a footnote says so.

[S]: Sutter, Daunhawer, Vogt 2020. [C]: Chen, Zhu 2022.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

CORRECTED, PUBLISHED = "corrected", "published"
PROTOCOLS = (CORRECTED, PUBLISHED)
AS_CORRECTED = " What the paper does is not repeated: this is the corrected measurement."


@dataclasses.dataclass(frozen=True)
class Measure:
    """What a column is.

    Attributes:
      corrected: place in metrics.json.
      note: the footnote of the corrected protocol.
      published: place under the published protocol; the corrected one where it is the same, or where there is no other.
      published_note: the footnote of the published protocol; by default `note`.
      differs: whether the paper measures otherwise and this is not repeated.
      unit: where it is not the table's.
    """

    corrected: str
    note: str
    published: str = ""
    published_note: str = ""
    differs: bool = False
    unit: str = ""

    def place(self, protocol: str) -> str:
        return self.corrected if protocol == CORRECTED else self.published or self.corrected

    def footnote(self, protocol: str) -> str:
        if protocol == CORRECTED:
            return self.note
        return (self.published_note or self.note) + (AS_CORRECTED if self.differs else "")


def shown(metrics: Mapping) -> Mapping:
    """metrics.json as its own `protocol` has it: under `published`, what the releases measure in place of what it should be.

    Taken are the probe on one batch, the random coherence as it is counted there, the joint likelihoods, and canonical
    correlations.
    """
    if metrics.get("protocol") != PUBLISHED:
        return metrics
    replaced = dict(metrics)
    if metrics.get("probe_one_batch"):
        replaced["probe"] = metrics["probe_one_batch"]
    if metrics.get("coherence_published"):
        replaced["coherence"] = {**metrics["coherence"], **metrics["coherence_published"]}
    if metrics.get("likelihood_published"):
        replaced["likelihood"] = {**metrics.get("likelihood", {}), **metrics["likelihood_published"]}
    if metrics.get("cca_published"):
        replaced["cca"] = metrics["cca_published"]
    return replaced


EPOCHS = Measure("epochs", "Epochs are steps times the batch, by the number of training examples.", unit="epochs")
RUNTIME = Measure(
    "training/seconds",
    "Runtime is wall time of training and feeding, without checkpoints, pictures and measurements. It is that of the machine "
    "that ran it, and the published one that of the paper's.",
)


def probe(subset: str) -> Measure:
    """[S] Table 9."""
    return Measure(
        f"probe/{subset}",
        "Linear probes are fitted on the evaluation's probe_examples, on the mean of q(c|X_K) (of a mixture, the mixture's). "
        "The paper fits them on one batch of 256 examples, in its release with single experts' means for mixtures.",
        f"probe_one_batch/{subset}",
        "Linear probes are fitted on 256 training examples, as many as in the paper, on the mean of q(c|X_K) (of a mixture, "
        "the mixture's). The release takes the last training batch, and for mixtures single experts' means.",
    )


RANDOM = Measure(
    "coherence/random",
    "Random coherence is the share of samples from the prior on whose class all classifiers agree: 0.01 for independent, even "
    "classes. The paper's release asks whether 'm agrees with s' and 'm agrees with t' have the same answer, by which three "
    "different digits are coherent: 0.82 for independent, even classes.",
    "coherence_published/random",
    "Random coherence is counted as in the paper's release: whether 'm agrees with s' and 'm agrees with t' have the same "
    "answer, by which three different digits are coherent; 0.82 for independent, even classes.",
)


def conditional(key: str) -> Measure:
    """[S] Table 10."""
    return Measure(
        f"coherence/{key}",
        "X<-Y decodes c ~ q(c|X_Y) with private codes from their priors, and the classifier sees the decoder's mean, as in the "
        "paper's release.",
    )


LIKELIHOOD = Measure(
    "likelihood/joint/mnist,svhn,text",
    "log p(X) is the log-mean-exp over an example's own importance samples, with the density of the whole posterior. The "
    "paper's release takes it over samples of different examples, with the density of the drawn component, and the text's "
    "log-probabilities as if they were probabilities, so that the published numbers are of another quantity.",
    "likelihood_published/joint/mnist,svhn,text",
    "log p(X) is computed as in the paper's release: over samples of different examples, with the density of the drawn "
    "component, and the text's log-probabilities taken for probabilities.",
)

_PROBE = (
    "is the accuracy of a logistic regression, fitted on the evaluation's probe_examples until it converges, on the mean of {}"
    ". The paper trains a linear layer by Adam for 100 epochs, its release on sampled codes, and prints its best epoch on the "
    "test data."
)


def latent(modality: str) -> Measure:
    """[C] Tables 1 and 2."""
    return Measure(f"probe/{modality}", f"Latent accuracy {_PROBE.format('the shared code q(c|x)')}", differs=True)


JOINT = Measure(
    "coherence/random",
    "Joint coherence is the share of samples from the prior on whose class the classifiers of both modalities agree. Each "
    "decoder gets a private code of its own; the paper's release gives all decoders one code, the private part too. Without "
    "private codes the two are the same.",
    differs=True,
)


def cross(key: str) -> Measure:
    """[C] Table 2."""
    return Measure(
        f"coherence/{key}",
        "Cross coherence draws the target's private code from its prior. The paper's release gives the whole code of the "
        "source, the private part too, to the other decoder. Without private codes the two are the same.",
        differs=True,
    )


def synergy(key: str) -> Measure:
    """[C] Table 2."""
    return Measure(
        f"coherence/{key}",
        "Synergy coherence decodes c of the posterior of both modalities with private codes from their priors. The paper's "
        "are joint reconstructions; which private codes its decoders get is not printed. Without private codes it is all the "
        "same.",
        differs=True,
    )


CODES = {
    "content": Measure("probe/{row}", f"Content {_PROBE.format('q(c|x)')}", differs=True),
    "style": Measure("probe_private/{row}", f"Style {_PROBE.format('the private code q(s|x)')}", differs=True),
    "both": Measure("probe_both/{row}", f"Both {_PROBE.format('both codes side by side')}", differs=True),
}

_CCA = (
    "Correlations are mean cosines of centred test pairs after a CCA of 40 components on the training features of both "
    "modalities ([C] eq. 11). The features are not the paper's, nor are they the same in all of its rows; compare with the "
    "ground truth beside them."
)
_CCA_PUBLISHED = (
    " As in the paper's release, each canonical dimension counts by the length of its weights, so that scores depend on the "
    "features' units."
)


def _correlation(what: str) -> Measure:
    """[C] Table 4."""
    return Measure(f"cca/image,caption/{what}", _CCA, f"cca_published/image,caption/{what}", _CCA + _CCA_PUBLISHED)


CORRELATIONS = {
    "joint": _correlation("joint"),
    "cross I->C": _correlation("cross/caption<-image"),
    "cross C->I": _correlation("cross/image<-caption"),
    "ground truth": _correlation("ground_truth"),
}
