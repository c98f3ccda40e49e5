"""MetricSpec: what an entry of metrics.json means, its unit, and where it is shown; and the table of all of them.

`mmtf.metrics.entries.METRICS` is that table.

[S]: Sutter, Daunhawer, Vogt 2020. [C]: Chen, Zhu 2022.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

from mmtf.errors import UserError

# Between a generated modality and those that it was generated from, in keys such as `word<-digit`.
ARROW = "<-"
# Sections of the page, in order: anchor and title. What has no section is no measurement.
SECTIONS = {
    "latent": "Latent codes",
    "coherence": "Coherence",
    "likelihood": "Likelihood",
    "quality": "Quality of samples",
    "correlation": "Correlation and retrieval",
    "objective": "Objective on the test split",
    "other": "Other measurements",
}
# Parts of metrics.json that hold several metrics, in the order in which they are measured, and what parts were called before:
# `--parts` knows them by these names, so that no metric that is a part of its own has one of them.
PARTS = ("terms", "probe", "coherence", "codes", "reconstruction", "quality", "correlation", "likelihood", "retrieval")
FORMER_PARTS = {"relatedness": "retrieval"}
# Entries that stand beside another one, by the ending of their key.
STANDARD_ERROR, INTERVAL, BY_LABEL, LEFT_OUT = "_standard_error", "_interval", "_by_label", "_left_out"
BESIDE = (STANDARD_ERROR, INTERVAL)


@dataclasses.dataclass(frozen=True)
class MetricSpec:
    """An entry of metrics.json.

    Attributes:
      key: its name in metrics.json.
      title: its name for people.
      meaning: what the number is, in sentences.
      unit: what one of it is, such as "nats"; "score" is accuracy, or average precision where examples have attributes.
      section: where the page shows it, one of `SECTIONS`; None for what is no measurement.
      table: the printed table that shows it; None where none does; "other" for the list of numbers at the end.
      of_attributes: the meaning where examples have any number of attributes; by default the same.
      summary: whether TensorBoard's summary and sweeps show it.
      measure: of a metric that is measured by itself: what returns it, given an `mmtf.evaluation.EvaluationContext` with
        `model`. It is a number, a dict of numbers, or a dict of such dicts; `--parts` names it by its key.
    """

    key: str
    title: str
    meaning: str
    unit: str = ""
    section: str | None = "other"
    table: str | None = "other"
    of_attributes: str = ""
    summary: bool = False
    measure: Callable | None = None

    def __post_init__(self):
        if not (self.key.isidentifier() and self.title and self.meaning):
            raise UserError(f"A metric has a key that is a Python name, a title and a meaning; {self.key!r} has not.")
        if self.section is not None and self.section not in SECTIONS:
            raise UserError(f"The metric {self.key!r} names the section {self.section!r}; there are {', '.join(SECTIONS)}.")


class MetricTable(dict):
    """Specs by key, in the order in which they are shown."""

    def __init__(self, specs: Iterable[MetricSpec]):
        super().__init__((spec.key, spec) for spec in specs)

    def check(self, spec: MetricSpec) -> None:
        """Raise UserError where there is another metric or a part of the same key, or nothing measures the new one."""
        if spec.key in self and self[spec.key] != spec:
            raise UserError(f"There is a metric {spec.key!r} already ({self[spec.key].title}); give the new one another key.")
        if spec.key in PARTS or spec.key in FORMER_PARTS:
            raise UserError(f"There is a part {spec.key!r} of metrics.json already; give the metric of that key another one.")
        if spec.measure is None:
            raise UserError(f"The metric {spec.key!r} has no `measure`, so that nothing would measure it.")

    def add(self, spec: MetricSpec) -> None:
        """Add a metric. Raise UserError as `check` does."""
        self.check(spec)
        self[spec.key] = spec

    def of(self, key: str) -> MetricSpec | None:
        """Return an entry's own spec, or that of the entry that it stands beside, such as `probe` of `probe_left_out`."""
        while key and key not in self:
            key = key.rpartition("_")[0]
        return self.get(key)

    def meaning(self, key: str, score: str) -> str | None:
        """Return what an entry means where probes and coherence are measured in `score`; None where it is not known."""
        if key not in self:
            return None
        spec = self[key]
        return spec.meaning if score == "accuracy" else spec.of_attributes or spec.meaning

    def where(self, **fields) -> tuple[str, ...]:
        """Return the keys of the metrics whose fields have these values."""
        return tuple(k for k, spec in self.items() if all(getattr(spec, name) == value for name, value in fields.items()))

    def measured_alone(self) -> dict[str, Callable]:
        """Return what measures each metric that is a part of its own."""
        return {key: spec.measure for key, spec in self.items() if spec.measure is not None}
