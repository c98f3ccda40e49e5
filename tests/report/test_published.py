"""The printed tables are whole, and every number has a flag file and a place."""

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from evaluated import CONFIGS

from mmtf.errors import UserError
from mmtf.modality import subsets
from mmtf.report import flagfile, published
from mmtf.report.protocols import PROTOCOLS
from mmtf.report.published import Printed
from mmtf.report.runs import defining

PAPERS = {"mmjsd": "S", "mmali": "C"}
ALL = [(table, row, file) for table in published.tables().values() for row in table.rows for file in table.flag_files(row)]
ROWS_OF_DATA = {
    "mnist_svhn_text": ("mnist", "svhn", "text"),
    "mnist_svhn": ("mnist", "svhn"),
    "cub": ("image", "caption"),
}


def tables_named(head):
    """`{("S", 9), ("S", 10)}` of "[S] Tables 9 and 10"; none where the head says that it is no published row."""
    if re.search(r"Ours, not published|No published table|Published: curves only", head):
        return set()
    found = set()
    head = re.sub(r"Not in (\[[SC]\] )?Tables?[\d andto]+", "", head)
    for paper, first, link, last in re.findall(r"\[([SC])\] Tables? (\d+)(?: (and|to) (\d+))?", head):
        found |= {
            (paper, n) for n in (range(int(first), int(last) + 1) if link == "to" else map(int, filter(None, (first, last))))
        }
    return found


def number(table):
    paper, number = table.name.split("/")[:2]
    return PAPERS[paper], int(number)


def test_there_are_nine_tables_with_a_number_for_every_column():
    assert len(published.tables()) == 9
    for table in published.tables().values():
        assert set(table.layout.columns) == set(table.columns)
        assert all(set(cells) == set(table.columns) for cells in table.rows.values())


@pytest.mark.parametrize(
    ("table", "row", "column", "value", "deviation"),
    [
        ("mmjsd/8", "mmvae_iwae30", "runtime", 15 * 3600 + 15 * 60, None),
        ("mmjsd/10", "mmjsd_ms", "S<-M,T", 0.92, None),
        ("mmjsd/11", "mvae", "log p(X)", -1864, None),
        ("mmali/1", "mmali", "4", 96.75, None),
        ("mmali/2/20%", "cc_mvae", "joint", 17.95, 12.52),
    ],
)
def test_numbers_are_those_of_the_paper(table, row, column, value, deviation):
    assert published.table(table).rows[row][column] == Printed(value, deviation)


def test_what_the_paper_leaves_out_is_none():
    assert published.table("mmali/2/100%").rows["mmvae"]["synergy M"] is None


@pytest.mark.parametrize(("table", "row", "file"), ALL)
def test_every_row_has_a_flag_file_that_names_the_table(table, row, file):
    assert number(table) in tables_named(flagfile.header(CONFIGS / file))
    config = flagfile.read(CONFIGS / file)
    if table.name.endswith("%"):
        assert f"{config.data.data_fraction:.0%}" == table.name.split("/")[2]
    if table.name == "mmali/1":
        assert f"_{config.data.num_modalities}." in file


def test_every_flag_file_that_names_a_table_is_of_one_of_its_rows():
    mapped = {(number(table), file) for table, _, file in ALL}
    heads = {path.relative_to(CONFIGS).as_posix(): flagfile.header(path) for path in CONFIGS.rglob("*.cfg")}
    named = {(found, file) for file, head in heads.items() for found in tables_named(head)}
    assert named == mapped
    assert len(named) > 40


def test_rows_of_a_table_are_told_apart_by_what_their_flag_files_say():
    for table in published.tables().values():
        files = dict.fromkeys(file for row in table.rows for file in table.flag_files(row))
        found = [defining(flagfile.read(CONFIGS / file)) for file in files]
        assert all(a != b for a, b in itertools.combinations(found, 2)), table.name


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_places_are_keys_that_metrics_json_has(protocol):
    """Subsets and targets in the order of the data set's modalities."""
    for table, row, file in ALL:
        config = flagfile.read(CONFIGS / file)
        names = ROWS_OF_DATA.get(config.data.dataset, ("mnist_0", "mnist_90"))
        keys = {",".join(s) for s in subsets(names)}
        known = {"random", "joint", "ground_truth", *keys, *(f"{n}<-{k}" for n in names for k in keys)}
        for column in table.columns:
            place = table.place(row, column, protocol)
            assert place in ("epochs", "training/seconds") or place.split("/")[-1] in known, place


def test_protocols_differ_where_the_release_is_repeated():
    table = published.table("mmjsd/10")
    assert table.place("mmjsd", "random", "corrected") == "coherence/random"
    assert table.place("mmjsd", "random", "published") == "coherence_published/random"
    assert {table.place("mmjsd", "T<-M,S", p) for p in PROTOCOLS} == {"coherence/text<-mnist,svhn"}
    probes = published.table("mmjsd/9")
    assert [probes.place("mmjsd", "M,T", p) for p in PROTOCOLS] == ["probe/mnist,text", "probe_one_batch/mnist,text"]
    parts = published.table("mmali/3")
    assert parts.place("SVHN", "style", "corrected") == "probe_private/svhn"
    assert published.table("mmali/2/100%").place("mmali", "synergy S", "corrected") == "coherence/svhn<-mnist,svhn"
    assert published.table("mmali/2/100%").place("mmali", "cross S->M", "corrected") == "coherence/mnist<-svhn"
    assert published.table("mmali/4").place("mmali", "cross I->C", "corrected") == "cca/image,caption/cross/caption<-image"
    assert published.table("mmali/4").place("mmali", "joint", "published") == "cca_published/image,caption/joint"


def test_a_wrong_name_gets_the_nearest():
    with pytest.raises(UserError, match="no table 'mmjsd/12'; is --table=mmjsd/1[01] meant"):
        published.table("mmjsd/12")
    with pytest.raises(UserError, match="is --rows=mmjsd_ms meant"):
        published.table("mmjsd/9").only(["mmjsd-ms"])
    assert list(published.table("mmjsd/9").only(["mmjsd", "mmvae"]).rows) == ["mmvae", "mmjsd"]


def test_the_listing_has_every_row_with_its_cost():
    text = published.listing(CONFIGS)
    for table, row, file in ALL:
        assert table.title in text
        assert f"  {row}: configs/{file}; " in text
    assert "configs/cub/mvae.cfg; 250,000 steps\n" in text
    assert "4:36 hours on the paper's hardware ([S] Table 8)" in text


def test_no_cost_is_invented(tmp_path):
    file = tmp_path / "own.cfg"
    file.write_text("# A model, no more.\n--dataset=digits\n")
    assert flagfile.cost(file) == "not estimated"


def test_flag_files_are_read_as_train_py_reads_them(tmp_path):
    file = tmp_path / "own.cfg"
    file.write_text("# A model.\n--dataset=digits\n--epochs=3\n--batch_size=16\n")
    found = flagfile.read(file, ["--batch_size=8"])
    assert (found.data.dataset, found.train.epochs, found.train.batch_size) == ("digits", 3, 8)
    assert flagfile.planned_steps(found, 100) == 3 * 12
    assert flagfile.planned_steps(found, None) is None
    assert flagfile.planned_steps(flagfile.read(file, ["--validation_examples=10"]), 100) is None
    assert flagfile.planned_steps(flagfile.read(file, ["--model=mmali", "--private_dim=2"]), 100) is None
    game = ["--dataset=digits", "--model=mmali", "--private_dim=2", "--steps=7"]
    assert flagfile.planned_steps(flagfile.config_of(game, "here"), 100) == 7
    assert flagfile.planned_steps(flagfile.read(CONFIGS / "cub/mvae.cfg"), None) == 250_000
    for wrong, message in ((["--bacth=3"], "bacth"), (["steps=3"], "'steps=3' is not a flag"), (["--steps=x"], "steps")):
        with pytest.raises(UserError, match=message):
            flagfile.read(file, wrong)
    with pytest.raises(UserError, match="is neither a file nor one of the flag files"):
        flagfile.read(tmp_path / "none.cfg")


def test_the_numbers_are_in_a_wheel(tmp_path):
    """The package's data as setuptools collects it, and no TensorFlow for reading it."""
    root = CONFIGS.parent
    command = [sys.executable, "setup.py", "--quiet", "build_py", "--build-lib", str(tmp_path)]
    # Not in the checkout: it would leave an egg-info there.
    command[3:3] = ["egg_info", "--egg-base", str(tmp_path)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    built = tmp_path / "mmtf/report/paper_tables.json"
    assert json.loads(built.read_text()) == json.loads((root / "mmtf/report/paper_tables.json").read_text())
    program = "import sys\nfrom mmtf.report import published as p\np.tables()\nprint('tensorflow' in sys.modules, p.__file__)"
    environment = {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True)
    answer, file = done.stdout.split()
    assert answer == "False"
    assert Path(file).is_relative_to(tmp_path)
