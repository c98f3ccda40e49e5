"""The tables hold the numbers of metrics.json where a reader looks for them."""

import copy
import statistics

import pytest

from mmtf.modality import subsets
from mmtf.report.tables import comparison_table, metrics_table

NAMES = ("digit", "scene", "word")


def metrics(seed=0, shift=0.0, names=NAMES, model="mmjsd"):
    """A metrics.json in which every number occurs once."""
    keys = [",".join(s) for s in subsets(names)]
    targets = [f"{name}<-{key}" for key in keys for name in names]
    return {
        "model": model,
        "dataset": "digits",
        "protocol": "corrected",
        "seed": seed,
        "probe": {key: 0.9 + i / 1000 + shift for i, key in enumerate(keys)},
        "coherence": {"random": 0.611 + shift, **{key: 0.2 + i / 1000 + shift for i, key in enumerate(targets)}},
        "classifier_accuracy": {name: 0.99 + i / 1000 for i, name in enumerate(names)},
        "training": {"steps": 5000, "seconds": 312.44, "steps_per_second": 16.0},
    }


def columns(text, first):
    """Cells of the Markdown row that starts with `first`."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {first} ")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_every_number_stands_in_its_row_and_column():
    given = metrics()
    text = metrics_table(given)
    header = columns(text, "given")
    for subset, accuracy in given["probe"].items():
        row = dict(zip(header, columns(text, subset), strict=True))
        assert row["probe"] == f"{accuracy:.3f}"
        for name in NAMES:
            assert row[name] == f"{given['coherence'][f'{name}<-{subset}']:.3f}"
    assert columns(text, "(test data)")[2:] == ["0.990", "0.991", "0.992"]
    for phrase in ("mmjsd on digits", "protocol corrected", "seed 0", "5000 steps", "312.4 s", "16.0 steps", "0.611"):
        assert phrase in text


@pytest.mark.parametrize("names", [NAMES, tuple(f"m{i}" for i in range(5))])
def test_it_is_aligned_and_fits_a_terminal(names):
    text = metrics_table(metrics(names=names))
    assert max(map(len, text.splitlines())) <= 80
    assert len({len(line) for line in text.splitlines() if line.startswith("|")}) == 1


def test_what_was_not_measured_is_shown_as_absent():
    given = metrics()
    del given["coherence"]["word<-digit"], given["probe"]["scene"], given["training"]
    text = metrics_table(given)
    assert columns(text, "digit")[4] == "-"
    assert columns(text, "scene")[1] == "-"
    assert "trained" not in text
    bare = {key: given[key] for key in ("model", "dataset", "protocol", "seed")}
    assert metrics_table(bare) == "mmjsd on digits: protocol corrected, seed 0\n"


def test_no_number_of_the_file_is_lost():
    text = metrics_table(metrics() | {"log_likelihood": {"joint": -1864.25, "digit": {"k12": -1.5}}, "examples": 360})
    assert columns(text, "log_likelihood joint")[1] == "-1864.2"
    assert columns(text, "log_likelihood digit k12")[1] == "-1.500"
    assert columns(text, "examples")[1] == "360"


def test_comparison_has_one_row_a_run():
    runs = [metrics(0), metrics(0, 0.05, model="mvae")]
    text = comparison_table(runs)
    blocks = text.split("### ")[1:]
    assert [block.splitlines()[0].split(",")[0] for block in blocks] == [
        "Linear probe",
        "Coherence",
        "Classifiers of coherence",
        "Training",
    ]
    for block in blocks:
        assert block.count("| mmjsd ") == block.count("| mvae ") == 1
    row = dict(zip(columns(blocks[1], "model"), columns(blocks[1], "mvae"), strict=True))
    assert row["random"] == "0.661"
    assert row["word<-digit,scene"] == f"{runs[1]['coherence']['word<-digit,scene']:.3f}"


def test_comparison_shows_cross_generation_only():
    header = columns(comparison_table([metrics()]).split("### ")[2], "model")
    assert len(header) == 4 + 1 + 9  # identity; random; the nine combinations of [S] Table 10
    assert "digit<-digit,word" not in header


def test_seeds_are_followed_by_mean_and_deviation():
    runs = [metrics(seed, shift) for seed, shift in ((0, 0.0), (1, 0.01), (2, 0.05))]
    values = [run["probe"]["digit"] for run in runs]
    block = comparison_table(runs).split("### ")[1]
    (row,) = [line for line in block.splitlines() if "3 seeds" in line]
    assert f"{statistics.fmean(values):.3f} ± {statistics.stdev(values):.3f}" in row


def test_runs_of_one_seed_are_not_averaged():
    assert "±" not in comparison_table([metrics(0), metrics(0, 0.01)])
    assert "±" not in comparison_table([metrics(0), metrics(1, model="mvae")])


def test_a_value_that_one_run_lacks_is_absent():
    short = copy.deepcopy(metrics(1, model="mvae"))
    del short["probe"]["digit"]
    block = comparison_table([metrics(), short]).split("### ")[1]
    assert columns(block, "mvae")[4] == "-"


def test_tables_refuse():
    with pytest.raises(ValueError, match=r"lacks dataset, seed"):
        metrics_table({"model": "mmjsd", "protocol": "corrected"})
    with pytest.raises(ValueError, match="lacks model"):
        comparison_table([{"dataset": "digits", "protocol": "corrected", "seed": 0}])
    with pytest.raises(ValueError, match="no runs"):
        comparison_table([])
