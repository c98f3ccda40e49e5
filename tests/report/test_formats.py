"""Markdown, LaTeX and CSV say the same numbers, and each is whole in its own way."""

import csv
import io
import re

import pytest
from evaluated import CONFIGS, evaluated

from mmtf.report import formats, published
from mmtf.report.reproduce import compare
from mmtf.report.runs import find_runs

VALUES = [0.36, 0.40, 0.47]


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    """Three seeds of mmJSD, and one run of another length of mmJSD with private codes."""
    folder = tmp_path_factory.mktemp("runs_of_50%")
    for seed, value in enumerate(VALUES):
        coherence = {"svhn<-mnist,text": value, "random": 0.6}
        evaluated(folder / f"seed_{seed}", "mnist_svhn_text/mmjsd.cfg", f"--seed={seed}", coherence=coherence)
    flags = ["--steps=20", "--epochs=50"]
    evaluated(folder / "ms", "mnist_svhn_text/mmjsd_ms.cfg", *flags, coherence={"random": 0.1})
    runs, problems = find_runs([str(folder)])
    return compare(published.table("mmjsd/10"), runs, "corrected", CONFIGS, problems)


def rows(text):
    """Cells of every line of a Markdown table."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


def test_markdown_has_published_ours_and_difference_under_one_another(comparison):
    table = rows(formats.markdown(comparison))
    column = [re.sub(r" \[.*", "", cell) for cell in table[0]].index("S<-M,T")
    start = [row[0] for row in table].index("mmjsd")
    assert [row[1] for row in table[start : start + 3]] == ["published", "ours (n = 3)", "difference"]
    assert [row[column] for row in table[start : start + 3]] == ["0.48", "0.410 ± 0.056", "-0.070"]
    # 0.6 is what the paper prints: no sign where there is no difference.
    assert [row[2] for row in table[start : start + 3]] == ["0.60", "0.600 ± 0.000", "0.000"]
    assert table[[row[0] for row in table].index("mmvae") + 1][1] == "no run"
    assert len({len(line) for line in formats.markdown(comparison).splitlines() if line.startswith("|")}) == 1


def test_every_footnote_is_there_and_is_referred_to(comparison):
    for text, mark, note in (
        (formats.markdown(comparison), r"\[([\d,]+)\] +\|", r"^- \[(\d+)\] \S"),
        (formats.latex(comparison), r"\\textsuperscript\{([\d,]+)\} +(?:&|\\\\)", r"^\\par \\textsuperscript\{(\d+)\} \S"),
    ):
        referred = {number for marks in re.findall(mark, text) for number in marks.split(",")}
        bound_modalities = re.findall(note, text, re.M)
        assert sorted(referred) == sorted(bound_modalities) == ["1", "2", "3"]
    assert "three different digits are coherent" in formats.markdown(comparison)
    assert "mmvae_ms, mmjsd_ms: with modality-specific subspaces." in formats.markdown(comparison)


def test_a_row_of_a_shorter_run_has_its_footnote(comparison):
    table = rows(formats.markdown(comparison))
    (line,) = [row for row in table if row[1].startswith("ours (n = 1)")]
    assert line[1] == "ours (n = 1) [3]"
    assert "[3] Trained for 20 of the 468,700 steps" in formats.markdown(comparison)


@pytest.mark.parametrize("name", published.tables())
@pytest.mark.parametrize("protocol", ["corrected", "published"])
def test_every_table_prints_without_runs_in_every_format(name, protocol):
    empty = compare(published.table(name), [], protocol, CONFIGS)
    count = len(published.table(name).rows)
    assert formats.markdown(empty).count("| no run") == formats.latex(empty).count("& no run &") == count
    check_latex(formats.latex(empty))
    assert len(list(csv.DictReader(io.StringIO(formats.comma_separated(empty))))) == count * len(published.table(name).columns)


def check_latex(text):
    """Balanced, every special character escaped, and as many cells in each line as columns."""
    assert text.isascii()
    assert re.findall(r"\\begin\{(\w+)\}", text) == ["table", "tabular"]
    assert re.findall(r"\\end\{(\w+)\}", text) == ["tabular", "table"]
    bare = re.sub(r"\\[\\{}$&#_%]", "", text)
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    assert not re.search(r"[%#_~^]", bare)
    outside = re.sub(r"\$[^$]*\$", "", bare)
    assert not re.search("[<>|]|--", outside)
    columns = len(re.search(r"\\begin\{tabular\}\{(l+r+)\}", text)[1])
    lines = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {line.count(" & ") for line in lines} == {columns - 1}


def test_latex_is_whole(comparison):
    text = formats.latex(comparison)
    check_latex(text)
    assert r"S$\leftarrow$M,T" in text
    assert r"mmjsd\_ms & published" in text
    assert r"0.410 $\pm$ 0.056" in text


def test_escapes():
    given = r"50% of a_b <- c & d # {e} ~ ^ $ \ | < > ± -- ->"
    wanted = (
        r"50\% of a\_b $\leftarrow$ c \& d \# \{e\} \textasciitilde{} \textasciicircum{} \$ \textbackslash{} $|$ $<$ $>$ $\pm$ "
        r"-{}- $\rightarrow$"
    )
    assert formats._escaped(given) == wanted


def test_csv_reads_back(comparison):
    records = list(csv.DictReader(io.StringIO(formats.comma_separated(comparison))))
    assert len(records) == 5 * 10
    (found,) = [r for r in records if (r["row"], r["column"]) == ("mmjsd", "S<-M,T")]
    assert {k: float(found[k]) for k in ("published", "ours", "n", "difference")} == {
        "published": 0.48,
        "ours": 0.41,
        "n": 3,
        "difference": -0.07,
    }
    assert float(found["ours_deviation"]) == pytest.approx(0.0556776436)
    assert (found["unit"], found["flag_file"]) == ("accuracy", "mnist_svhn_text/mmjsd.cfg")
    (short,) = [r for r in records if (r["row"], r["column"]) == ("mmjsd_ms", "random")]
    assert "Trained for 20 of the 468,700 steps" in short["notes"]
    for record in records:
        if record["row"] == "mmvae":
            assert record["published"]
            assert record["ours"] == record["n"] == record["difference"] == ""


def test_times_are_clocks_and_seconds(tmp_path):
    training = {"steps": 1, "seconds": 2 * 3600 + 59.6, "steps_per_second": 1.0}
    evaluated(tmp_path, "mnist_svhn_text/mmjsd.cfg", training=training)
    found = compare(published.table("mmjsd/8"), find_runs([str(tmp_path)])[0], "corrected", CONFIGS)
    table = rows(formats.markdown(found))
    start = [row[0] for row in table].index("mmjsd")
    assert [row[3] for row in table[start : start + 3]] == ["2:16", "2:01:00", "-0:15:00"]
    records = csv.DictReader(io.StringIO(formats.comma_separated(found)))
    (record,) = [r for r in records if (r["row"], r["column"]) == ("mmjsd", "runtime")]
    assert (record["unit"], record["published"], record["ours"]) == ("seconds", "8160.0", "7259.6")


def test_different_counts_of_seeds_and_a_standard_error_are_told(tmp_path):
    for seed in (0, 1):
        evaluated(tmp_path / f"2_{seed}", "multimnist/mmali_2.cfg", f"--seed={seed}", probe={"mnist_0": 0.97})
    evaluated(tmp_path / "3", "multimnist/mmali_3.cfg", probe={"mnist_0": {"value": 0.9, "standard_error": 0.0123}})
    found = compare(published.table("mmali/1"), find_runs([str(tmp_path)])[0], "corrected", CONFIGS)
    text = formats.markdown(found)
    assert "ours (n = 1 to 2)" in text
    assert "standard error of one run's estimate is at most 1.23 percent" in text


def test_file_names_have_no_character_of_paths_or_formats():
    found = compare(published.table("mmali/2/20%"), [], "published", CONFIGS)
    assert formats.file_stem(found) == "mmali_2_20pct_published"
