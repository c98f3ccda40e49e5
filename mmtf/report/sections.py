"""The parts of a run's printed table that are measured with uncertainty: likelihoods, samples, codes and pairs.

[C]: Chen, Zhu 2022.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from mmtf.metrics.entries import METRICS
from mmtf.metrics.specs import ARROW

ABSENT = "-"
# How both protocols name what they measure: a row, where metrics.json has the corrected number, and the published one.
PROTOCOLS = (
    ("random coherence", ("coherence", "random"), ("coherence_published", "random")),
    ("probe of {all}", ("probe", "{all}"), ("probe_one_batch", "{all}")),
    ("log p(X)", ("likelihood", "joint", "{all}", "value"), ("likelihood_published", "joint", "{all}", "value")),
)


def number(value) -> str:
    """Return three decimals below ten, one above; integers and words as they are."""
    if value is None:
        return ABSENT
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def estimate(value: Mapping | None) -> str:
    """`value ± standard error` of a measurement, or the value alone."""
    if not value:
        return ABSENT
    error = value.get("standard_error")
    return number(value["value"]) if error is None else f"{number(value['value'])} ± {number(error)}"


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return an aligned Markdown table; the first column to the left, the others to the right."""
    table = [list(header), *(list(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    first, *others = widths
    rule = ["-" * first, *("-" * (max(width, 2) - 1) + ":" for width in others)]
    lines = [[row[0].ljust(first), *(c.rjust(len(r)) for c, r in zip(row[1:], rule[1:], strict=True))] for row in table]
    lines.insert(1, rule)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def likelihoods(metrics: Mapping) -> str:
    """Log-likelihoods in nats, of few samples and of many, with what says whether to trust them."""
    few, many = metrics.get("likelihood", {}), metrics.get("likelihood_many", {})
    labels = {"joint": "log p(X), q(c|{})", "marginal": "log p({})", "conditional": "log p({})"}
    rows = []
    for kind, label in labels.items():
        for key, estimated in few.get(kind, {}).items():
            more = many.get(kind, {}).get(key, {})
            name = label.format(key.replace(ARROW, " | "))
            trusted = [number(part.get("effective_sample_size")) for part in (estimated, more)]
            rows.append([name, estimate(estimated), trusted[0], estimate(more), trusted[1], number(more.get("pareto_k"))])
    counts = [next(iter(part.get("marginal", {}).values()), {}).get("samples", ABSENT) for part in (few, many)]
    header = ("nats", f"K = {counts[0]}", "ESS", f"K = {counts[1]}", "ESS", "k-hat")
    return markdown(header, rows)


def samples(metrics: Mapping) -> str:
    """Return precision and recall, and Frechet distance, by modality and by where the samples come from."""
    prd, frechet, sources = (metrics.get(key, {}) for key in ("prd", "frechet", "features"))
    rows = [
        [f"{name} {place}", *(number(measured.get(key)) for key in ("area", "f_8", "f_1/8")),
         number(frechet.get(name, {}).get(place)), sources.get(name, ABSENT)]
        for name, places in prd.items()
        for place, measured in places.items()
    ]  # fmt: skip
    return markdown(("samples", "PRD area", "F_8", "F_1/8", "Frechet", "features"), rows)


def correlations(metrics: Mapping) -> str:
    """[C] eq. 11, by pair of modalities."""
    rows = []
    for pair, measured in metrics["cca"].items():
        cells = {key: measured.get(key) for key in ("ground_truth", "joint", "synergy")} | measured.get("cross", {})
        rows += [[f"{pair}: {key.replace('_', ' ')}", estimate(x)] for key, x in cells.items() if x]
    return markdown(("canonical correlation", "mean cosine"), rows)


def codes(metrics: Mapping) -> str:
    """Return active units and divergence from the prior, by what is encoded."""
    active, collapse = metrics["active_units"], metrics.get("collapse", {})
    rows = []
    for kind, key in ((kind, key) for kind, by_key in active.items() for key in by_key):
        of = collapse.get(kind, {}).get(key, {})
        rows.append([f"{kind} {key}", *map(number, (active[kind][key], of.get("kl"), of.get("share_of_dimensions")))])
    return markdown(("codes", "active", "KL to prior", "collapsed"), rows)


def pairs(metrics: Mapping) -> str:
    """Return retrieval of one modality by another, with what chance comes to."""
    rows = [
        [f"{key} ({kind})", str(scores["candidates"]),
         *(f"{number(scores[f'recall_at_{k}'])} ({number(scores[f'recall_at_{k}_by_chance'])})" for k in (1, 5, 10)),
         number(scores["median_rank"])]
        for key, kinds in metrics["retrieval"].items()
        for kind, scores in kinds.items()
    ]  # fmt: skip
    return markdown(("retrieval (by chance)", "of", "recall at 1", "at 5", "at 10", "median rank"), rows)


def agreement(metrics: Mapping) -> str:
    """Return how two modalities' codes of one example agree, and whether scores tell mismatched pairs."""
    apart, auc = metrics.get("divergence_between", {}), metrics.get("mismatch_auc", {})
    rows = [
        [key, *(estimate(apart.get(key, {}).get(k)) for k in ("matched", "mismatched")),
         *(number(auc.get(key, {}).get(k)) for k in ("latent", "likelihood"))]
        for key in dict.fromkeys([*apart, *auc])
    ]  # fmt: skip
    return markdown(("pair", "nats apart", "mismatched", "AUC latent", "AUC likelihood"), rows)


def reconstructions(metrics: Mapping) -> str:
    rows = [[name, estimate(error)] for name, error in metrics["reconstruction_error"].items()]
    return markdown(("reconstruction error", "value"), rows)


def protocols(metrics: Mapping) -> str:
    """Return what the papers' releases measure otherwise, both ways; empty where nothing is."""
    everything = max(metrics.get("probe") or metrics.get("likelihood", {}).get("joint") or [""], key=lambda key: key.count(","))
    rows = []
    for label, *places in PROTOCOLS:
        values = [_at(metrics, [key.format(all=everything) for key in place]) for place in places]
        if None not in values:
            rows.append([label.format(all=everything), *map(number, values)])
    return markdown(("measured", "corrected", "published"), rows) if rows else ""


def costs(metrics: Mapping) -> str:
    rows = [[name, *(number(part.get(k)) for k in ("seconds", "cpu_seconds"))] for name, part in metrics["parts"].items()]
    return markdown(("part", "seconds", "CPU seconds"), rows)


# Printed tables in order, by the name that `MetricSpec.table` has for them. A table is there where one of its entries is.
TABLES: dict[str, Callable[[Mapping], str]] = {
    "likelihood": likelihoods,
    "samples": samples,
    "correlations": correlations,
    "reconstructions": reconstructions,
    "codes": codes,
    "agreement": agreement,
    "pairs": pairs,
    "costs": costs,
}
# The entry without which a table says nothing, where it has several.
NEEDED = {
    "likelihood": "likelihood",
    "samples": "prd",
    "codes": "active_units",
    "agreement": "divergence_between",
    "costs": "parts",
}


def tables(metrics: Mapping) -> list[str]:
    """Return the printed tables of what was measured."""
    drawn = []
    for name, draw in TABLES.items():
        entries = METRICS.where(table=name)
        if metrics.get(NEEDED.get(name, entries[0])):
            drawn.append(draw(metrics))
    return drawn


def _at(metrics: Mapping, place: Sequence[str]):
    for key in place:
        metrics = metrics.get(key, {}) if isinstance(metrics, Mapping) else {}
    return None if isinstance(metrics, Mapping) else metrics
