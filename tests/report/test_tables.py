"""The tables hold the numbers of metrics.json where a reader looks for them."""

import copy
import statistics

import pytest

from mmtf.modality import subsets
from mmtf.report.tables import comparison_table, contest_table, metrics_table

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


def attributes(seed=0):
    """A metrics.json of data with many labels."""
    given = metrics(seed, names=("image", "text")) | {"dataset": "celeba", "score": "average_precision"}
    given["classifier_average_precision"] = {"image": 0.71, "text": 0.99}
    del given["classifier_accuracy"]
    return given | {
        "label_prevalence": {"Bald": 0.02, "Smiling": 0.5},
        "probe_by_label": {"image": {"Smiling": 0.876543}},
        "probe_left_out": {"image": ["Bald"], "text": ["Bald", "Young"]},
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


def test_many_labels_are_called_average_precision():
    given = attributes()
    text = metrics_table(given)
    assert "average precision" in text
    assert "accuracy" not in text
    assert "true class" not in text
    assert columns(text, "(test data)")[2:] == ["0.710", "0.990"]
    assert columns(text, "image,text")[1] == f"{given['probe']['image,text']:.3f}"
    assert "Random coherence (share of attributes on which all classifiers agree): 0.611" in text
    assert "Mean share of test examples that have an attribute: 0.260" in text
    assert "Not in probe, as all or none of its examples have them: Bald, Young" in text
    # Too long for a screen.
    assert "0.877" not in text
    assert "other" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_one_class_is_called_accuracy_whether_the_file_says_so_or_is_older():
    text = metrics_table(metrics() | {"score": "accuracy"})
    assert text == metrics_table(metrics())
    assert "probe: accuracy of a linear classifier" in text
    assert "precision" not in text


def test_terms_and_sources_are_shown():
    data = {"sources": {"digits": "scikit-learn: 1,400 training scans " + "and more " * 12}}
    data |= {"training_examples": 28000, "test_examples": 1985}
    bare = {key: metrics()[key] for key in ("model", "dataset", "protocol", "seed")}
    text = metrics_table(bare | {"test_terms": {"loss": 1234.5678, "kl_private/digit": 0.25}, "data": data})
    assert columns(text, "loss")[1] == "1234.6"
    assert columns(text, "kl_private/digit")[1] == "0.250"
    assert "Data: 28000 training examples, 1985 test examples" in text
    assert "digits: scikit-learn: 1,400 training scans and more" in text
    assert "probe" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_runs_that_were_scored_otherwise_are_compared_apart():
    text = comparison_table([metrics(0), attributes(), metrics(1), attributes(1)])
    blocks = {block.splitlines()[0]: block for block in text.split("### ")[1:]}
    assert list(blocks) == [
        "Linear probe, accuracy",
        "Coherence",
        "Classifiers of coherence, accuracy on test data",
        "Linear probe, average precision",
        "Coherence, average precision; random: share of attributes",
        "Classifiers of coherence, average precision on test data",
        "Training",
    ]
    for title, block in blocks.items():
        assert block.count(" digits ") == (0 if "precision" in title else 3)  # two runs, and their mean
        assert block.count(" celeba ") == (3 if "precision" in title or title == "Training" else 0)
    assert "0.710 |         0.990 |" in blocks["Classifiers of coherence, average precision on test data"]


def test_the_loss_on_test_data_is_compared():
    runs = [metrics(seed) | {"test_terms": {"loss": 100.0 + seed, "divergence": 3.0}} for seed in (0, 1)]
    block = comparison_table(runs).split("### ")[-2]
    assert block.startswith("Loss on test data")
    assert "divergence" not in block
    assert f"{100.5:.1f} ± {0.5**0.5:.1f}" in block


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


def test_a_contest_has_a_row_for_each_system_and_a_dash_for_what_it_lacks():
    pair = metrics(shift=0.05, names=NAMES[:2], model="mmali")
    given = {"first": metrics(), "pair": pair}
    text = contest_table(given)
    header = columns(text, "system")
    for name, found in given.items():
        row = dict(zip(header, columns(text, name), strict=True))
        assert (row["steps"], row["s"], row["steps/s"]) == ("5000", "312", "16.0")
        assert row["probe digit"] == f"{found['probe']['digit']:.3f}"
        everything = ",".join(NAMES if name == "first" else NAMES[:2])
        assert row["probe all"] == f"{found['probe'][everything]:.3f}"
        assert row["scene<-digit"] == f"{found['coherence']['scene<-digit']:.3f}"
        assert row["random"] == f"{found['coherence']['random']:.3f}"
    assert columns(text, "pair")[header.index("word<-digit")] == "-"
    assert not any("digit<-digit" in title or "," in title for title in header)
