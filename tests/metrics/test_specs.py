"""Every entry of metrics.json is declared once, and everything that shows it follows from that."""

import json

import pytest
from checkout import ROOT

from mmtf.errors import UserError
from mmtf.metrics.entries import METRICS
from mmtf.metrics.specs import SECTIONS, MetricSpec, MetricTable
from mmtf.report import curves, metric_docs, sections, tables
from mmtf.serving import card

IDENTITY = {"model": "mmjsd", "dataset": "digits", "protocol": "corrected", "seed": 0}


def spec(key="spread", **fields):
    return MetricSpec(key, "Spread", "How far apart samples are.", "pixels", **{"measure": len} | fields)


def test_a_metric_of_a_key_that_is_taken_is_refused():
    table = MetricTable([spec("probe", measure=None)])
    with pytest.raises(UserError, match="There is a metric 'probe' already"):
        table.add(spec("probe"))
    table.add(spec())
    # The same module read twice adds nothing.
    table.add(spec())
    assert list(table) == ["probe", "spread"]
    assert table.measured_alone() == {"spread": len}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"key": "two words"}, "'two words' has not"),
        ({"section": "latents"}, "names the section 'latents'; there are latent, coherence"),
    ],
)
def test_a_metric_that_could_not_be_shown_is_refused(fields, message):
    with pytest.raises(UserError, match=message):
        spec(**fields)


def test_a_metric_that_nothing_measures_is_refused():
    with pytest.raises(UserError, match="has no `measure`"):
        MetricTable([]).add(spec(measure=None))


def test_what_stands_beside_an_entry_belongs_to_it():
    assert METRICS.of("probe_one_batch_left_out") is METRICS["probe_one_batch"]
    assert METRICS.of("probe_left_out") is METRICS["probe"]
    assert METRICS.of("coherence_own_private_standard_error") is METRICS["coherence_own_private"]
    assert METRICS.of("unheard_of") is None


def test_meanings_follow_the_score():
    assert METRICS.meaning("probe", "accuracy") != METRICS.meaning("probe", "average_precision")
    assert METRICS.meaning("retrieval", "accuracy") == METRICS.meaning("retrieval", "average_precision")
    assert METRICS.meaning("unheard_of", "accuracy") is None


def test_the_page_of_the_documentation_has_every_entry():
    page = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    assert metric_docs.updated(page) == page, "Run: python -m mmtf.report.metric_docs docs/metrics.md"
    with pytest.raises(UserError, match="The page has to have"):
        metric_docs.updated("no marks")


def test_every_printed_table_is_of_entries_that_there_are():
    shown = {spec.table for spec in METRICS.values() if spec.table}
    assert shown == {*sections.TABLES, "heading", "scores", "terms", "data"}
    assert set(sections.NEEDED.values()) <= set(METRICS)
    assert {spec.section for spec in METRICS.values() if spec.section} == set(SECTIONS)


def test_a_new_metric_is_printed_shown_and_summed_up(monkeypatch):
    monkeypatch.setitem(METRICS, "spread", spec(summary=True))
    metrics = IDENTITY | {"spread": {"word": 0.25}, "step": 3}
    assert "| Spread (pixels) word | 0.250 |" in tables.metrics_table(metrics)
    assert curves.summary(metrics) == {"spread/word": 0.25}
    lines = card._measured(metrics, 3)
    assert "| spread word | 0.25 |  |" in lines
    assert "- `spread`, Spread (pixels): How far apart samples are." in lines
    assert json.dumps(metrics)
