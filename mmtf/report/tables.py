"""Tables of `metrics.json`: plain text that is Markdown too, aligned for a terminal.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Mapping, Sequence

from mmtf.metrics.entries import METRICS
from mmtf.metrics.specs import ARROW, BESIDE, BY_LABEL, LEFT_OUT
from mmtf.report.protocols import shown
from mmtf.report.sections import ABSENT, estimate, markdown, number, protocols, tables

IDENTITY = ("model", "dataset", "protocol", "seed")
CLASSIFIERS = ("classifier_accuracy", "classifier_average_precision")
WIDTH = 80
ACCURACY = "accuracy"

LEGENDS = {
    ACCURACY: """\
probe: accuracy of a linear classifier on the shared code of the given ones.
Under a modality's name: share of its samples, generated from the given ones, in
which its classifier finds the true class. (test data): that classifier on them.""",
    "average_precision": """\
All are average precisions, means over the attributes; random scores come to the
mean share of examples that have an attribute.
probe: of a linear classifier on the shared code of the given ones.
Under a modality's name: of its classifier on its samples, generated from the
given ones, against their true attributes. (test data): that classifier on them.""",
}
RANDOM = {
    ACCURACY: "Random coherence (all classifiers agree)",
    "average_precision": "Random coherence (share of attributes on which all classifiers agree)",
}
TERMS = "term, mean per test example"


def metrics_table(metrics: Mapping) -> str:
    """Return one run: a row per given subset of modalities, with its probe and its coherence for every generated modality.

    Entries that are not named here are listed below, so that no number of the file is lost.

    Args:
      metrics: `model`, `dataset`, `protocol` and `seed`; and, where measured, `probe` by subset (`digit,scene`),
        `coherence` by `random` or `generated<-given`, `classifier_accuracy` or `classifier_average_precision` by modality,
        which of the two `score` is (accuracy, if it is not there), `label_prevalence` by attribute, `test_terms` by name,
        `training` (`steps`, `seconds`, `steps_per_second`), and `data` (`sources` by set, `training_examples`,
        `test_examples`).

    Returns:
      Text; within 80 columns for up to five modalities whose names are short.

    Raises:
      ValueError: model, dataset, protocol or seed is missing.
    """
    _check_identity(metrics)
    both, metrics = protocols(metrics), shown(metrics)
    parts = [_heading(metrics), *_scores(metrics)]
    if metrics.get("test_terms"):
        parts.append(markdown((TERMS, "value"), [(n, number(value)) for n, value in metrics["test_terms"].items()]))
    if metrics.get("data"):
        parts.append(_data(metrics["data"]))
    parts += tables(metrics)
    if both:
        parts.append(both)
    rows = [row for key in metrics if _is_other(key) for row in _others(key, metrics[key])]
    if rows:
        parts.append(markdown(("other", "value"), rows))
    return "\n\n".join(parts) + "\n"


def _is_other(key: str) -> bool:
    """Return whether an entry is printed at the end: it is not known, or belongs there.

    What stands beside an entry is not printed.
    """
    return METRICS[key].table == "other" if key in METRICS else not key.endswith((*BESIDE, BY_LABEL, LEFT_OUT))


def _others(key: str, value) -> list[tuple[str, str]]:
    """Return the numbers of an entry, a row each; of a known metric a number and its standard error together."""
    spec = METRICS.get(key)
    if spec is None:
        return [(name, number(x)) for name, x in _flat(key, value)]
    title = f"{spec.title}{f' ({spec.unit})' if spec.unit else ''}"
    return [(name, estimate(x) if isinstance(x, Mapping) else number(x)) for name, x in _measured(title, value)]


def _measured(name: str, value) -> list[tuple[str, object]]:
    """As `_flat`, but that a number stays beside its uncertainty."""
    if not isinstance(value, Mapping) or "value" in value:
        return [(name, value)]
    return [pair for key, inner in value.items() for pair in _measured(f"{name} {key}", inner)]


def comparison_table(rows: Sequence[Mapping]) -> str:
    """Return several runs: Markdown tables of probe, coherence, classifiers, loss and training, each with one row a run.

    Runs that were scored otherwise (accuracy, average precision) have tables of their own.

    Coherence is that of cross generation, as in [S] Table 10; a modality decoded from itself is in the run's own table.
    Runs of one model, data set and protocol with several seeds are followed by a row of means and sample standard
    deviations; whether their other settings agree, metrics.json does not tell.

    Args:
      rows: dicts as `metrics_table` takes them; what a run lacks is shown as `-`.

    Raises:
      ValueError: there are no runs, or a run lacks its model, dataset, protocol or seed.
    """
    if not rows:
        raise ValueError("There is nothing to compare: no runs were given.")
    for row in rows:
        _check_identity(row)
    tables = []
    for score in dict.fromkeys(row.get("score", ACCURACY) for row in rows):
        alike = [row for row in rows if row.get("score", ACCURACY) == score]
        named = score.replace("_", " ")
        tables += [
            (f"Linear probe, {named}", alike, [row.get("probe", {}) for row in alike]),
            (_coherence_title(named), alike, [_cross_generation(row.get("coherence", {})) for row in alike]),
            (f"Classifiers of coherence, {named} on test data", alike, [_classifiers(row) for row in alike]),
        ]
    losses = [{name: x for name, x in row.get("test_terms", {}).items() if name == "loss"} for row in rows]
    tables += [
        ("Loss on test data, between runs of one objective and one set of weights", rows, losses),
        ("Training", rows, [row.get("training", {}) for row in rows]),
    ]
    return "\n".join(f"### {title}\n\n{_runs(some, block)}\n" for title, some, block in tables if any(block))


def contest_table(systems: Mapping[str, Mapping]) -> str:
    """Systems of one data set side by side, a row each: training, probes of single modalities and of all, cross coherence.

    Args: systems: by name, dicts as `metrics_table` takes them, scored by accuracy.
    """
    rows, header = [], ["system", "steps", "s", "steps/s"]
    probes = {f"probe {key}": key for metrics in systems.values() for key in metrics.get("probe", ()) if "," not in key}
    crosses = [_single_cross(metrics.get("coherence", {})) for metrics in systems.values()]
    columns = list(dict.fromkeys(key for cross in crosses for key in cross))
    for (name, metrics), cross in zip(systems.items(), crosses, strict=True):
        training, probe = metrics["training"], metrics.get("probe", {})
        everything = max(probe, key=lambda key: key.count(","), default="")
        row = [name, training["steps"], round(training["seconds"]), training["steps_per_second"]]
        row += [*(probe.get(key) for key in probes.values()), probe.get(everything), *(cross.get(key) for key in columns)]
        rows.append([number(x) for x in row])
    return markdown([*header, *probes, "probe all", *columns], rows)


def _single_cross(coherence: Mapping[str, float]) -> dict[str, float]:
    """Return cross coherence from one modality, and the random one."""
    return {key: x for key, x in _cross_generation(coherence).items() if "," not in key}


def _coherence_title(score: str) -> str:
    return "Coherence" if score == ACCURACY else f"Coherence, {score}; random: share of attributes"


def _classifiers(metrics: Mapping) -> Mapping[str, float]:
    return metrics.get(f"classifier_{metrics.get('score', ACCURACY)}", {})


def _check_identity(metrics: Mapping) -> None:
    missing = [key for key in IDENTITY if key not in metrics]
    if missing:
        raise ValueError(f"metrics.json lacks {', '.join(missing)}; it has: {', '.join(metrics)}.")


def _heading(metrics: Mapping) -> str:
    text = "{model} on {dataset}: protocol {protocol}, seed {seed}".format_map(metrics)
    training = metrics.get("training")
    if not training:
        return text
    steps, seconds, speed = (number(training.get(key)) for key in ("steps", "seconds", "steps_per_second"))
    return f"{text}\ntrained for {steps} steps in {seconds} s: {speed} steps per second"


def _scores(metrics: Mapping) -> list[str]:
    """Return probes and coherence, and how to read them."""
    parts, score = [], metrics.get("score", ACCURACY)
    if any(metrics.get(key) for key in ("probe", "coherence", *CLASSIFIERS)):
        parts += [_by_subset(metrics), LEGENDS[score]]
    if "random" in metrics.get("coherence", {}):
        parts.append(f"{RANDOM[score]}: {number(metrics['coherence']['random'])}")
    if metrics.get("label_prevalence"):
        shares = metrics["label_prevalence"].values()
        parts.append(f"Mean share of test examples that have an attribute: {number(statistics.fmean(shares))}")
    return parts + [_left_out(key, metrics[key]) for key in metrics if key.endswith(LEFT_OUT)]


def _by_subset(metrics: Mapping) -> str:
    probe, classifiers = metrics.get("probe", {}), _classifiers(metrics)
    coherence = {tuple(key.split(ARROW)): v for key, v in metrics.get("coherence", {}).items() if ARROW in key}
    generated = list(dict.fromkeys([*classifiers, *(target for target, _ in coherence)]))
    given = dict.fromkeys([*probe, *(subset for _, subset in coherence)])
    rows = [
        [subset, number(probe.get(subset)), *(number(coherence.get((name, subset))) for name in generated)] for subset in given
    ]
    if classifiers:
        rows.append(["(test data)", ABSENT, *(number(classifiers.get(name)) for name in generated)])
    return markdown(("given", "probe", *generated), rows)


def _left_out(key: str, by_place: Mapping[str, Sequence[str]]) -> str:
    """Return which attributes some means of one kind are without."""
    names = dict.fromkeys(name for left_out in by_place.values() for name in left_out)
    kind = key.removesuffix(LEFT_OUT)
    return textwrap.fill(f"Not in {kind}, as all or none of its examples have them: {', '.join(names)}", WIDTH)


def _data(data: Mapping) -> str:
    counts = f"Data: {data['training_examples']} training examples, {data['test_examples']} test examples"
    sources = [f"{name}: {sentence}" for name, sentence in data.get("sources", {}).items()]
    return "\n".join([counts, *(textwrap.fill(line, WIDTH, subsequent_indent="  ") for line in sources)])


def _cross_generation(coherence: Mapping[str, float]) -> dict[str, float]:
    def crosses(key: str) -> bool:
        target, _, given = key.partition(ARROW)
        return target not in given.split(",")

    return {key: value for key, value in coherence.items() if crosses(key)}


def _runs(rows: Sequence[Mapping], block: Sequence[Mapping[str, float]]) -> str:
    """Return one table: a row a run, and a row for every group of runs with different seeds."""
    keys = list(dict.fromkeys(key for values in block for key in values))
    table, groups = [], {}
    for row, values in zip(rows, block, strict=True):
        identity = [str(row[key]) for key in IDENTITY]
        table.append([*identity, *(number(values.get(key)) for key in keys)])
        groups.setdefault(tuple(identity[:-1]), {}).setdefault(identity[-1], []).append(values)
    for identity, by_seed in groups.items():
        # Two runs of one seed differ in a setting: a spread over them would not be one over seeds.
        if len(by_seed) > 1 and all(len(runs) == 1 for runs in by_seed.values()):
            spread = [_mean_and_deviation([values.get(key) for (values,) in by_seed.values()]) for key in keys]
            table.append([*identity, f"{len(by_seed)} seeds", *spread])
    return markdown((*IDENTITY, *keys), table)


def _mean_and_deviation(values: Sequence[float | None]) -> str:
    if None in values:
        return ABSENT
    mean = statistics.fmean(values)
    decimals = 3 if abs(mean) < 10 else 1
    return f"{mean:.{decimals}f} ± {statistics.stdev(values):.{decimals}f}"


def _flat(name: str, value) -> list[tuple[str, object]]:
    """Return nested dicts as (`outer inner`, value)."""
    if not isinstance(value, Mapping):
        return [(name, value)]
    return [pair for key, inner in value.items() for pair in _flat(f"{name} {key}", inner)]
