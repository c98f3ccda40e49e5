"""Which run belongs to which row, means over seeds, and what is said with them."""

import math
import statistics

import pytest
from evaluated import CONFIGS, EXAMPLES, evaluated, started

from mmtf.errors import UserError
from mmtf.report import published
from mmtf.report.reproduce import compare
from mmtf.report.runs import find_runs, settings

MMJSD, WITH_PRIVATE = "mnist_svhn_text/mmjsd.cfg", "mnist_svhn_text/mmjsd_ms.cfg"


def compared(table, *places, protocol="corrected"):
    runs, problems = find_runs(map(str, places))
    return compare(published.table(table), runs, protocol, CONFIGS, problems)


def one_line(table, row, *places, **how):
    (line,) = compared(table, *places, **how).lines[row]
    return line


def notes(comparison):
    return " ".join([*comparison.notes, *(note for lines in comparison.lines.values() for x in lines for note in x.notes)])


@pytest.mark.parametrize("name", published.tables())
@pytest.mark.parametrize("protocol", ["corrected", "published"])
def test_a_table_without_runs_has_no_lines_and_no_notes(name, protocol):
    comparison = compare(published.table(name), [], protocol, CONFIGS)
    assert list(comparison.lines.values()) == [()] * len(published.table(name).rows)
    assert comparison.notes == ()


def test_mean_deviation_count_and_difference_are_over_seeds(tmp_path):
    values = [0.36, 0.40, 0.47]
    for seed, value in enumerate(values):
        evaluated(tmp_path / f"seed_{seed}", MMJSD, f"--seed={seed}", coherence={"svhn<-mnist,text": value, "random": 0.2})
    found = one_line("mmjsd/10", "mmjsd", tmp_path)
    estimate = found.cells["S<-M,T"]
    assert estimate.mean == pytest.approx(statistics.fmean(values))
    assert estimate.deviation == pytest.approx(statistics.stdev(values))
    assert estimate.count == 3
    printed = published.table("mmjsd/10").rows["mmjsd"]["S<-M,T"]
    assert estimate.difference(printed) == pytest.approx(0.41 - 0.48)
    assert set(found.cells) == {"S<-M,T", "random"}
    assert found.notes == ()


def test_one_seed_has_no_deviation_and_percent_are_percent(tmp_path):
    evaluated(tmp_path, "mnist_svhn/mmali.cfg", probe={"mnist": 0.9612, "svhn": 0.85}, probe_private={"svhn": 0.25})
    found = compared("mmali/3", tmp_path).lines
    assert found["MNIST"][0].cells["content"].mean == pytest.approx(96.12)
    assert found["MNIST"][0].cells["content"].deviation is None
    assert found["SVHN"][0].cells["style"].mean == pytest.approx(25.0)
    assert compared("mmali/2/100%", tmp_path).lines["mmali"][0].cells["latent S"].mean == pytest.approx(85.0)
    assert compared("mmali/2/20%", tmp_path).lines["mmali"] == ()


def test_runs_find_their_rows(tmp_path):
    """Each row's own flag file leads to this row and to no other."""
    for name in ("mmjsd/8", "mmali/2/100%", "mmali/2/20%", "mmali/4"):
        table = published.table(name)
        runs = {row: evaluated(tmp_path / name / row, table.flag_file(row, table.columns[0])).path for row in table.rows}
        for row, path in runs.items():
            lines = compared(name, path).lines
            assert [found for found in lines if lines[found]] == [row]


def test_columns_of_multimnist_are_runs_of_their_own(tmp_path):
    for count, value in ((2, 0.97), (4, 0.9)):
        evaluated(tmp_path / str(count), f"multimnist/mmali_{count}.cfg", probe={"mnist_0": value})
    line = one_line("mmali/1", "mmali", tmp_path)
    assert {column: x.mean for column, x in line.cells.items()} == {"2": 97.0, "4": 90.0}


def test_epochs_and_seconds_come_from_the_run(tmp_path):
    evaluated(tmp_path, MMJSD)
    cells = one_line("mmjsd/8", "mmjsd", tmp_path).cells
    assert cells["epochs"].mean == pytest.approx(50 * (EXAMPLES // 256) * 256 / EXAMPLES)
    assert cells["runtime"].mean == 3600.0


def test_values_with_a_standard_error_and_nested_ones(tmp_path):
    joint, key = {"value": -1950.5, "standard_error": 2.5}, "mnist,svhn,text"
    evaluated(
        tmp_path / "a", MMJSD, likelihood={"joint": {key: joint}}, likelihood_published={"joint": {key: {"value": -1800.0}}}
    )
    cells = one_line("mmjsd/11", "mmjsd", tmp_path / "a").cells
    assert (cells["log p(X)"].mean, cells["log p(X)"].standard_error) == (-1950.5, 2.5)
    cells = one_line("mmjsd/11", "mmjsd", tmp_path / "a", protocol="published").cells
    assert (cells["log p(X)"].mean, cells["log p(X)"].standard_error) == (-1800.0, None)
    cca = {"joint": {"value": 0.4}, "cross": {"caption<-image": 0.3, "image<-caption": {"value": 0.2}}, "ground_truth": 0.41}
    evaluated(tmp_path / "b", "cub/mmali.cfg", cca={"image,caption": cca})
    cells = one_line("mmali/4", "mmali", tmp_path / "b").cells
    assert [cells[c].mean for c in published.table("mmali/4").columns] == [0.4, 0.3, 0.2, 0.41]


def test_the_protocol_chooses_the_measurement(tmp_path):
    measured = {"probe": {"svhn": 0.9}, "probe_one_batch": {"svhn": 0.8}, "coherence": {"random": 0.3}}
    evaluated(tmp_path, MMJSD, **measured, coherence_published={"random": 0.7})
    found = {p: one_line("mmjsd/9", "mmjsd", tmp_path, protocol=p).cells["S"].mean for p in ("corrected", "published")}
    assert found == {"corrected": 0.9, "published": 0.8}
    found = {p: one_line("mmjsd/10", "mmjsd", tmp_path, protocol=p).cells["random"].mean for p in ("corrected", "published")}
    assert found == {"corrected": 0.3, "published": 0.7}


def test_what_a_run_lacks_is_absent_and_named(tmp_path):
    for seed, coherence in enumerate([{"random": 0.3, "mnist<-svhn": 0.8}, {"random": math.nan}]):
        evaluated(tmp_path / f"{seed}", MMJSD, f"--seed={seed}", coherence=coherence)
    comparison = compared("mmjsd/10", tmp_path)
    assert comparison.lines["mmjsd"][0].cells["random"].count == 1
    assert f"Not in metrics.json of {tmp_path / '1'}: coherence/random, coherence/mnist<-svhn, " in notes(comparison)
    # Never the corrected number under the name of the published one.
    assert "random" not in compared("mmjsd/10", tmp_path, protocol="published").lines["mmjsd"][0].cells


def test_other_settings_are_a_line_of_their_own_and_are_named(tmp_path):
    evaluated(tmp_path / "as_published", WITH_PRIVATE, coherence={"random": 0.5})
    flags = ["--beta=1", "--batch_size=128", "--learning_rate=0.01", "--private_dim=8", "--epochs=50"]
    evaluated(tmp_path / "other", WITH_PRIVATE, *flags, steps=20, coherence={"random": 0.1})
    first, second = compared("mmjsd/10", tmp_path).lines["mmjsd_ms"]
    assert (first.cells["random"].mean, first.notes) == (0.5, ())
    assert second.cells["random"].mean == 0.1
    for change in ("beta was 5.0 and is 1.0", "batch_size was 256 and is 128", "learning_rate was 0.001 and is 0.01"):
        assert f"--{change}" in second.notes[0]
    assert "--private_dim was 4 and is 8" in second.notes[0]
    assert "epochs" not in second.notes[0]
    assert second.notes[1] == f"Trained for 20 of the 468,700 steps that configs/{WITH_PRIVATE} comes to on this data."


def test_a_longer_run_is_told_too(tmp_path):
    evaluated(tmp_path, "cub/mvae.cfg", "--steps=300000", cca={"image,caption": {"joint": 0.1}})
    assert one_line("mmali/4", "mvae", tmp_path).notes == (
        "Trained for 300,000 steps, more than the 250,000 that configs/cub/mvae.cfg comes to on this data.",
    )


def test_what_does_not_change_the_numbers_is_not_named(tmp_path):
    flags = ["--data_dir=elsewhere", "--panels_every=0", "--keep_checkpoints=1", "--steps_per_epoch=7", "--microbatch=32"]
    evaluated(tmp_path / "0", MMJSD, *flags, "--seed=7", probe={"mnist": 0.9})
    evaluated(tmp_path / "1", MMJSD, probe={"mnist": 0.8})
    line = one_line("mmjsd/9", "mmjsd", tmp_path)
    assert (line.cells["M"].count, line.notes) == (2, ())


def test_what_decides_the_other_examples_of_a_contrast_is_named(tmp_path):
    evaluated(tmp_path, "mnist_svhn/ci_mvae.cfg", "--microbatch=32")
    (note,) = one_line("mmali/2/100%", "ci_mvae", tmp_path).notes
    assert "--microbatch was 0 and is 32" in note


def test_a_falling_rate_is_of_the_whole_length(tmp_path):
    cosine = ["--learning_rate_schedule=cosine", "--epochs=10"]
    first = evaluated(tmp_path / "a", MMJSD, *cosine).config()
    assert settings(first) != settings(evaluated(tmp_path / "b", MMJSD, cosine[0]).config())
    assert "--epochs was 50 and is 10" in one_line("mmjsd/8", "mmjsd", tmp_path / "a").notes[0]


def test_two_runs_of_one_seed_are_not_two_seeds(tmp_path):
    for name in "ab":
        evaluated(tmp_path / name, MMJSD, probe={"mnist": 0.9})
    comparison = compared("mmjsd/9", tmp_path)
    assert comparison.lines["mmjsd"][0].cells["M"].count == 1
    assert f"{tmp_path / 'b'} has settings and seed of {tmp_path / 'a'}" in notes(comparison)


def test_other_data_is_not_averaged_and_its_size_is_told(tmp_path):
    sources = {"svhn": "original files: 7,999 training examples"}
    evaluated(tmp_path / "0", MMJSD, probe={"mnist": 0.9})
    small = {"sources": sources, "training_examples": 159_980, "test_examples": 9_000}
    evaluated(tmp_path / "1", MMJSD, "--seed=1", examples=159_980, probe={"mnist": 0.7}, data=small)
    comparison = compared("mmjsd/9", tmp_path)
    assert [line.cells["M"].count for line in comparison.lines["mmjsd"]] == [1, 1]
    # The longer trained first.
    assert [line.cells["M"].mean for line in comparison.lines["mmjsd"]] == [0.9, 0.7]
    said = notes(comparison)
    assert "Data of mmjsd: 159,980 training and 9,000 test examples; svhn: original files: 7,999 training examples." in said
    assert "Data of mmjsd: 1,199,900 training and 50,000 test examples; mnist: files." in said


def test_measurements_are_described(tmp_path):
    for seed, score in enumerate((0.87, 0.88)):
        evaluated(tmp_path / f"{seed}", MMJSD, f"--seed={seed}", classifier_accuracy={"mnist": 0.99, "svhn": score})
    said = notes(compared("mmjsd/10", tmp_path))
    assert "test_examples 10,000, probe_examples 5,000, random_samples 10,000" in said
    assert "classifiers of coherence on test data: mnist 0.990, svhn 0.870 to 0.880" in said


def test_runs_are_found_in_folders_and_by_patterns(tmp_path):
    for name in ("deep/er/a", "deep/b"):
        evaluated(tmp_path / name, MMJSD)
    for place in ("deep", "*", "**/[ab]"):
        runs, _ = find_runs([str(tmp_path / place)])
        assert {run.path for run in runs} == {tmp_path / "deep/er/a", tmp_path / "deep/b"}, place
    runs, _ = find_runs([str(tmp_path / "deep"), str(tmp_path / "deep/b")])
    assert len(runs) == 2
    for nothing in ("none", "none*"):
        with pytest.raises(UserError, match="names no run and no folder of runs"):
            find_runs([str(tmp_path / nothing)])


def test_runs_that_cannot_be_used_are_named_and_left_out(tmp_path):
    evaluated(tmp_path / "good", MMJSD, probe={"mnist": 0.9})
    started(tmp_path / "unjudged", MMJSD)
    evaluated(tmp_path / "old", MMJSD).write_json("metrics.json", {"model": "mmjsd", "accuracy": 1})
    evaluated(tmp_path / "list", MMJSD).write_json("metrics.json", [])
    (evaluated(tmp_path / "torn", MMJSD).path / "metrics.json").write_text("{")
    evaluated(tmp_path / "moved", MMJSD, model="mvae")
    evaluated(tmp_path / "odd", MMJSD, data=None)
    evaluated(tmp_path / "odder", MMJSD, step="20")
    evaluated(tmp_path / "newer", MMJSD).write_json("config.json", {"model": {"flow": 3}})
    evaluated(tmp_path / "digits", "digits/mmjsd.cfg")
    comparison = compared("mmjsd/9", tmp_path)
    assert comparison.lines["mmjsd"][0].cells["M"].count == 1
    assert not any(comparison.lines[row] for row in comparison.lines if row != "mmjsd")
    said = notes(comparison)
    for sentence in (
        f"{tmp_path / 'unjudged'} was not evaluated yet",
        f"{tmp_path / 'old/metrics.json'} lacks dataset, seed, step: another version wrote it",
        f"{tmp_path / 'list/metrics.json'} lacks model",
        f"{tmp_path / 'torn/metrics.json'} is damaged",
        f"{tmp_path / 'odd/metrics.json'} has a data that mmtf evaluate did not write",
        f"{tmp_path / 'odder/metrics.json'} has a step that",
        f"{tmp_path / 'moved/metrics.json'} is of mvae on mnist_svhn_text",
        "config.json has 'model.flow'",
        f"{tmp_path / 'digits'} belongs to no row: dataset digits",
    ):
        assert sentence in said
