"""Plugins: what they add, that a run keeps them, and what is refused before any work."""

import json
import sys

import numpy as np
import pytest
from checkout import MMTF, ROOT, call, run

import mmtf
from mmtf.config import Config, ModelConfig, plugins
from mmtf.config.names import MODELS
from mmtf.errors import UserError
from mmtf.metrics.entries import METRICS
from mmtf.runs import RunDirectory

EXAMPLE = ROOT / "examples/new_model.py"
SHORT = ["--steps=2", "--batch_size=8", "--panels_every=0", "--shared_dim=2", "--steps_per_execution=1"]
EMPTY = "MODELS = {}\n"


@pytest.fixture(autouse=True)
def forgotten():
    """What a test loads is not there for the next one."""
    tables = (MODELS, METRICS, MODELS._given, plugins._LOADED)
    before = [dict(table) for table in tables]
    yield
    for table, old in zip(tables, before, strict=True):
        table.clear()
        table.update(old)
    for name in [name for name in sys.modules if name.startswith("mmtf_plugin_")]:
        del sys.modules[name]


@pytest.fixture
def folder(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for seed, name in enumerate("ab"):
        np.save(data / f"{name}.npy", np.random.default_rng(seed).normal(size=(80, 3)).astype(np.float32))
    return tmp_path


def written(tmp_path, text, name="own.py"):
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def test_a_model_and_a_metric_of_one_file_are_used_as_any_other(folder):
    """Trained, evaluated and exported by the command line, after which the file is not needed."""
    plugin = folder / "mine.py"
    plugin.write_text(EXAMPLE.read_text())
    where = ["--dataset=arrays", f"--data_dir={folder}/data", f"--run_dir={folder}/run"]
    done = call(MMTF, "train", f"--plugin={plugin}", "--model=tempered_poe", "--temper=0.25", *where, *SHORT)
    assert done.returncode == 0, done.stderr
    kept = json.loads((folder / "run/config.json").read_text())
    assert (kept["model"]["temper"], kept["train"]["plugin"]) == (0.25, str(plugin))
    assert (folder / "run/plugin.py").read_bytes() == EXAMPLE.read_bytes()
    plugin.unlink()
    done = call(MMTF, "evaluate", f"--run_dir={folder}/run", "--parts=posterior_width,codes")
    assert done.returncode == 0, done.stderr
    measured = json.loads((folder / "run/metrics.json").read_text())["posterior_width"]
    assert set(measured) == {"a", "b", "a,b"}
    # One more expert makes a product sharper.
    assert measured["a,b"]["value"] < min(measured["a"]["value"], measured["b"]["value"]) < 1
    assert "| Posterior width (prior standard deviations) a,b |" in done.stdout
    assert "Posterior width, prior standard deviations" in (folder / "run/report.html").read_text()


@pytest.mark.slow
def test_the_example_runs_as_it_says(folder):
    """In processes of their own, from an empty folder: trained, resumed, evaluated, exported, and loaded from the export."""
    how = {"cwd": folder, "MMTF_CACHE_DIR": str(folder / "cache")}
    where = ["--dataset=arrays", "--data_dir=data", "--run_dir=runs/own"]
    flags = [f"--plugin={EXAMPLE}", "--model=tempered_poe", "--temper=0.5", *where, *SHORT]
    steps = [
        ["train", *flags],
        ["train", *flags, "--steps=4", "--resume"],
        ["evaluate", "--run_dir=runs/own"],
        ["report", "--run_dir=runs/own"],
        ["export", "--run_dir=runs/own", "--export_dir=exports"],
    ]
    for name, *arguments in steps:
        done = run(MMTF, name, *arguments, **how)
        assert done.returncode == 0, done.stderr[-3000:]
    assert str(ROOT) not in (folder / "exports/1/assets.extra/mmtf.json").read_text()
    assert "posterior_width" in (folder / "exports/1/assets.extra/model_card.md").read_text()
    program = folder / "use.py"
    program.write_text(
        "import mmtf\nmodels = [mmtf.load(p) for p in ('runs/own', 'exports')]\n"
        "assert [type(m).__name__ for m in models] == ['TemperedPoE'] * 2\n"
        "one, other = (m.generate(2)['a'].numpy() for m in models)\nassert (one == other).all()\n"
    )
    done = run(program, **how)
    assert done.returncode == 0, done.stderr[-3000:]


def test_the_example_is_short():
    assert len(EXAMPLE.read_text().splitlines()) <= 100


def test_a_plugin_named_by_keywords(folder):
    data = mmtf.from_arrays({name: np.load(folder / f"data/{name}.npy") for name in "ab"})
    trained = mmtf.train(
        data, model="tempered_poe", plugin=str(EXAMPLE), run_dir=folder / "run", steps=2, batch_size=8, temper=1
    )
    assert type(mmtf.load(trained)).__name__ == "TemperedPoE"
    assert MODELS.summary("tempered_poe") == "A model and a metric of your own, in one file outside the package."


def test_flags_of_a_plugin_are_read_from_a_flag_file_too(folder):
    flag_file = folder / "own.cfg"
    flag_file.write_text(f"# Ours.\n--plugin={EXAMPLE}\n--model=tempered_poe\n--temper=2\n")
    done = call(MMTF, "train", f"--flagfile={flag_file}", f"--run_dir={folder}/run")
    assert (done.returncode, done.stderr) == (2, "error: --temper must be at most 1, not 2.0.\n")


def test_a_run_with_another_plugin_file_is_loaded_by_its_copy(folder):
    config = {"model": {"model": "tempered_poe", "temper": 0.5}, "train": {"plugin": "/nowhere/new_model.py"}}
    run = RunDirectory(folder)
    run.write_json("config.json", config)
    with pytest.raises(UserError, match="--plugin=/nowhere/new_model.py: there is no such file"):
        run.config()
    (folder / "plugin.py").write_bytes(EXAMPLE.read_bytes())
    assert run.config().model.temper == 0.5


def test_a_module_is_a_plugin_too(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    written(tmp_path, "import mmtf\nclass Mine(mmtf.MVAE):\n    pass\nMODELS = {'mine': Mine}\n", "mine_of_test.py")
    plugins.load("mine_of_test")
    plugins.load("mine_of_test")
    assert ModelConfig("mine", mvae_subsets=2).mvae_subsets == 2
    assert plugins.content("mine_of_test") is None
    del sys.modules["mine_of_test"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "has neither a table MODELS nor a list METRICS"),
        ("models = {'a': 1}\n", "It has models; write it in capitals"),
        (EMPTY, "has neither a table MODELS nor a list METRICS"),
        ("MODELS = {'mine': 3}\n", r"MODELS\['mine'\] wants a class of models"),
        ("import mmtf\nMODELS = {'mmjsd': mmtf.MVAE}\n", "redefines the model 'mmjsd'; give its own another name"),
        ("METRICS = [3]\n", "METRICS wants mmtf.MetricSpec objects, not 3"),
        (
            "import mmtf\nMETRICS = [mmtf.MetricSpec('probe', 'Probe', 'Mine.', measure=len)]\n",
            r"redefines the metric 'probe' \(Linear probe\)",
        ),
        ("import mmtf\nMETRICS = [mmtf.MetricSpec('mine', 'Mine', 'Mine.')]\n", "has no `measure`"),
        ("import mmtf\nMETRICS = [mmtf.MetricSpec('mine', '', 'Mine.')]\n", "A metric has a key .* 'mine' has not"),
        ("1 / 0\n", r"fails: ZeroDivisionError: division by zero \(.*own\.py, line 1\)"),
        ("import no_such_module_here\n", "fails: ModuleNotFoundError"),
        ("def f(:\n", "fails: SyntaxError"),
    ],
)
def test_what_is_no_plugin_is_refused_and_adds_nothing(tmp_path, text, message):
    models, metrics = dict(MODELS), dict(METRICS)
    with pytest.raises(UserError, match=message):
        plugins.load(written(tmp_path, text))
    assert (dict(MODELS), dict(METRICS)) == (models, metrics)
    assert "mmtf_plugin_own" not in sys.modules


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ("[mmtf.MetricSpec('one', 'One', 'Mine.')]", "has no `measure`"),
        ("[mmtf.MetricSpec('one', 'One', 'Mine.', measure=len)] * 2", "has two metrics 'one'"),
    ],
)
def test_a_model_is_not_added_where_a_metric_beside_it_is_refused(tmp_path, metrics, message):
    text = f"import mmtf\nclass Mine(mmtf.MVAE):\n    pass\nMODELS = {{'mine': Mine}}\nMETRICS = {metrics}\n"
    with pytest.raises(UserError, match=message):
        plugins.load(written(tmp_path, text))
    assert "mine" not in MODELS
    assert "one" not in METRICS


def test_what_a_run_keeps_is_what_was_executed(tmp_path):
    """Also where the file is edited before the run is written."""
    path = written(tmp_path, EXAMPLE.read_text())
    plugins.load(path)
    written(tmp_path, "edited\n")
    assert plugins.content(path) == EXAMPLE.read_bytes()


def test_a_second_version_is_never_taken_for_the_first(tmp_path, caplog):
    """Two files of one name, a file that was edited, and the copies of two runs; one that is named wins, with a warning."""
    text = EXAMPLE.read_text()
    first, second = (tmp_path / name for name in ("first", "second"))
    for folder in (first, second):
        folder.mkdir()
    path = written(first, text)
    plugins.load(path)
    plugins.load(written(second, text))
    (second / "own.py").write_text(text + "# changed\n")
    for name, copy in ((str(second / "own.py"), None), (str(second / "own.py"), tmp_path / "not there")):
        with pytest.raises(UserError, match="has loaded another version of own.py already"):
            plugins.load(name, copy)
    plugins.load(path, second / "own.py")
    assert "stands in for the copy that the run was trained with" in caplog.text


def test_copies_of_two_runs_that_differ_are_not_mixed(tmp_path):
    copies = [tmp_path / "one.py", tmp_path / "two.py"]
    for number, copy in enumerate(copies):
        copy.write_text(EXAMPLE.read_text() + f"# {number}\n")
    plugins.load("gone/own.py", copies[0])
    plugins.load("gone/own.py", copies[0])
    with pytest.raises(UserError, match="has loaded another version of own.py already"):
        plugins.load("gone/own.py", copies[1])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("new_modle.py", r"there is no such file\. Did you mean .*new_model\.py"),
        ("mmtf_no_such_module", "there is no module of that name, and no file"),
    ],
)
def test_an_unknown_plugin_is_refused_before_anything_else(tmp_path, name, message):
    given = EXAMPLE.with_name(name) if name.endswith(".py") else name
    done = call(MMTF, "train", f"--plugin={given}", f"--run_dir={tmp_path}/run", "--model=mine")
    assert done.returncode == 2
    with pytest.raises(UserError, match=message):
        plugins.load(str(given))
    assert list(tmp_path.iterdir()) == []


def test_an_option_that_no_model_has_is_named(tmp_path):
    with pytest.raises(UserError, match="config.json has 'model.temper', which this version of mmtf does not know"):
        Config.from_json({"model": {"model": "mmjsd", "temper": 0.5}})
    with pytest.raises(UserError, match="Unknown --model='tempered_poe'"):
        Config.from_json({"model": {"model": "tempered_poe"}})
