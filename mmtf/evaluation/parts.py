"""The parts of metrics.json that `mmtf evaluate` measures one after the other, of a model or of samples."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping

from mmtf.config import EvaluateConfig
from mmtf.errors import UserError
from mmtf.evaluation.codes import code_use
from mmtf.evaluation.coherence import Coherence
from mmtf.evaluation.context import EvaluationContext
from mmtf.evaluation.correlation import correlations
from mmtf.evaluation.external_samples import external_coherence, external_correlations, external_quality
from mmtf.evaluation.labels import in_context, scale
from mmtf.evaluation.likelihood import log_likelihoods
from mmtf.evaluation.probes import latent_probes
from mmtf.evaluation.quality import sample_quality
from mmtf.evaluation.reconstruction import reconstruction_errors
from mmtf.evaluation.retrieval import retrieval_scores
from mmtf.evaluation.terms import objective_terms
from mmtf.metrics.entries import METRICS
from mmtf.metrics.specs import FORMER_PARTS
from mmtf.report import curves

log = logging.getLogger(__name__)

Measure = Callable[[EvaluationContext], Mapping]
# What parts were called before; metrics.json and flag files may still have it.
RENAMED = FORMER_PARTS


@dataclasses.dataclass(frozen=True)
class Part:
    """Attributes:
    of_model: from a context with `model` and `step` to entries of metrics.json.
    of_samples: from a context with `samples` to such entries; None where it takes a model.
    """

    of_model: Measure
    of_samples: Measure | None = None


def _terms(context) -> dict:
    return {"test_terms": objective_terms(context.model, context.test, context.step, context.config)}


def _probe(context) -> dict:
    if not context.labelled:
        return {}
    probes = latent_probes(context.model, context.data, context.test, context.config, context.moments)
    return scale(context.data, context.test) | probes


def _coherence(context) -> dict:
    if not context.labelled:
        return _without_labels(context, "probes and coherence are")
    given = context.model, context.test, context.classifiers, context.config, context.generated
    return in_context(Coherence(*given).report(context.data.class_names), context.data, context.test, context.classifiers)


def _coherence_of_samples(context) -> dict:
    if not context.labelled:
        return _without_labels(context, "coherence is")
    scores = external_coherence(context.samples, context.data, context.test, context.classifiers, context.config)
    return in_context(scores, context.data, context.test, context.classifiers)


def _without_labels(context, subject: str) -> dict:
    log.info("%s has no labels: %s left out.", context.data.name, subject)
    return {}


def _quality(context) -> dict:
    measured, shown = sample_quality(
        context.model, context.data, context.test, context.features, context.config, context.generated
    )
    if shown:
        # At once: an evaluation that is resumed does not measure the curves again.
        context.save_figures({"prd": curves.prd_figure(shown)})
    return measured


# In the order in which they are measured.
PARTS = {
    "terms": Part(_terms),
    "probe": Part(_probe),
    "coherence": Part(_coherence, _coherence_of_samples),
    "codes": Part(lambda c: code_use(c.model, c.test, c.moments)),
    "reconstruction": Part(lambda c: reconstruction_errors(c.model, c.test, c.config)),
    "quality": Part(_quality, lambda c: external_quality(c.samples, c.data, c.test, c.features, c.config)[0]),
    "correlation": Part(
        lambda c: correlations(c.model, c.data, c.test, c.features, c.config, c.generated),
        lambda c: external_correlations(c.samples, c.data, c.test, c.features, c.config),
    ),
    "likelihood": Part(lambda c: log_likelihoods(c.model, c.test, c.config)),
    "retrieval": Part(lambda c: retrieval_scores(c.model, c.data, c.test, c.config, c.moments)),
}


def of_models() -> dict[str, Measure]:
    """Return what measures each part of a model: the above, then each metric that is a part of its own."""
    alone = {key: _alone(key, measure) for key, measure in METRICS.measured_alone().items()}
    return {name: part.of_model for name, part in PARTS.items()} | alone


def of_samples() -> dict[str, Measure]:
    """Return what measures each part that needs no model."""
    return {name: part.of_samples for name, part in PARTS.items() if part.of_samples is not None}


def chosen(config: EvaluateConfig, parts: Mapping[str, Measure] | None = None) -> list[str]:
    """Return the parts that a config asks for, in their order.

    Args:
      parts: those that there are; by default those of a model.

    Raises:
      UserError: there is no such part.
    """
    parts = of_models() if parts is None else parts
    if config.parts == "all":
        return list(parts)
    names = [current_name(name.strip()) for name in config.parts.split(",")]
    unknown = [name for name in names if name not in parts]
    if unknown:
        raise UserError(f"--parts names {unknown[0]!r}, but there are {', '.join(parts)}; or all.")
    return [name for name in parts if name in names]


def current_name(name: str) -> str:
    """Return what a part is called now; a note says so where that is not its name."""
    if name in RENAMED:
        log.warning("The part %r is called %r now; the old name will not be read for ever.", name, RENAMED[name])
    return RENAMED.get(name, name)


def _alone(key: str, measure: Measure) -> Measure:
    return lambda context: {key: measure(context)}
