"""What models are worth: arrays from a model's verbs, or from files, and numbers from `mmtf.metrics`.

Used by `mmtf evaluate` and during training. Where each example has one class, probes and coherence are accuracies. Where it has
any number of attributes, they are means over attributes of average precisions ([S] C.4.3); an attribute that all or none of the
examples in question have is left out of them, and named beside them.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from mmtf.evaluation.codes import code_use, kl_to_prior, moments, moments_graph
from mmtf.evaluation.coherence import Coherence
from mmtf.evaluation.context import EvaluationContext
from mmtf.evaluation.correlation import correlations
from mmtf.evaluation.external_samples import (
    check_external_labels,
    conditional_sets,
    external_coherence,
    external_correlations,
    external_quality,
)
from mmtf.evaluation.features import Features, inception_network
from mmtf.evaluation.generation import Generated
from mmtf.evaluation.labels import (
    check_labels,
    classifier_scores,
    in_context,
    prevalence,
    scale,
    score_name,
    train_classifiers,
    unimodal,
)
from mmtf.evaluation.likelihood import log_likelihoods
from mmtf.evaluation.probes import code_means, latent_probes
from mmtf.evaluation.quality import sample_quality
from mmtf.evaluation.reconstruction import reconstruction_errors
from mmtf.evaluation.retrieval import retrieval_scores
from mmtf.evaluation.terms import objective_terms, terms_of_batches

__all__ = [
    "Coherence",
    "EvaluationContext",
    "Features",
    "Generated",
    "check_external_labels",
    "check_labels",
    "classifier_scores",
    "code_means",
    "code_use",
    "conditional_sets",
    "correlations",
    "external_coherence",
    "external_correlations",
    "external_quality",
    "in_context",
    "inception_network",
    "kl_to_prior",
    "latent_probes",
    "log_likelihoods",
    "moments",
    "moments_graph",
    "objective_terms",
    "prevalence",
    "reconstruction_errors",
    "retrieval_scores",
    "sample_quality",
    "scale",
    "score_name",
    "terms_of_batches",
    "train_classifiers",
    "unimodal",
]
