"""What a path means does not depend on its characters, nor on who takes it."""

import keras
import numpy as np
import pytest

import mmtf
from mmtf.errors import UserError
from mmtf.runs import RunDirectory, paths
from mmtf.runs.checkpoint import Checkpoints
from mmtf.verbs import export

NAMES = ["lr=[1e-3]", "a*b", "what?", "back\\slash", "größe", "two words", "ordinary", "[", "]["]


@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_is_read_from_wherever_it_was_written(tmp_path, name):
    """Rule: what was written is read by the same path. TensorFlow writes the path as it stands and reads it for a pattern."""
    folder, weights = tmp_path / name / "inner", {"w": keras.Variable([1.0, 2.0])}
    kept = Checkpoints(folder, weights)
    kept.save(3, {"loss": 1.0})
    weights["w"].assign([0.0, 0.0])
    assert Checkpoints(folder, weights).restore() == 3
    np.testing.assert_array_equal(weights["w"], [1.0, 2.0])


def test_another_folder_that_the_name_would_match_as_a_pattern_is_not_read(tmp_path):
    for name, value in (("lr=1", 1.0), ("lr=[1-3]", 2.0)):
        Checkpoints(tmp_path / name, {"w": keras.Variable([value])}).save(1)
    found = {"w": keras.Variable([0.0])}
    Checkpoints(tmp_path / "lr=[1-3]", found).restore()
    assert float(found["w"][0]) == 2.0


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


def test_every_verb_takes_a_run_directory_with_brackets_and_one_below_home(home, monkeypatch):
    """Rule: a path means the same folder in every verb; `~` is the home folder."""
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("MMTF_CACHE_DIR", "~/cache")
    monkeypatch.chdir(home)
    rng = np.random.default_rng(0)
    data = mmtf.from_arrays({name: rng.normal(size=(40, 3)).astype(np.float32) for name in "ab"})
    how = {"steps": 1, "batch_size": 8, "shared_dim": 2, "panels_every": 0, "steps_per_execution": 1}
    run = mmtf.train(data, run_dir="~/runs/lr=[1e-3]", **how)
    assert run.path == home / "runs/lr=[1e-3]"
    mmtf.train(data, run_dir="~/runs/lr=[1e-3]", **how | {"steps": 2}, resume=True)
    assert mmtf.evaluate("~/runs/lr=[1e-3]", data=data, parts="terms")["step"] == 2
    model = mmtf.load("~/runs/lr=[1e-3]")
    mmtf.export(run, "~/exports")
    again = mmtf.load("~/exports")
    np.testing.assert_array_equal(again.generate(2)["a"], model.generate(2)["a"])
    assert not (home / "~").exists()


@pytest.mark.parametrize("name", ["lr=[1]", "a*", "a?", "a\\b"])
def test_a_folder_from_which_no_model_could_be_loaded_is_refused_before_the_run_is_read(tmp_path, name):
    """Rule: what cannot be loaded cannot be saved."""
    with pytest.raises(UserError, match="TensorFlow cannot load a model from a folder with"):
        export.export(tmp_path / "no run", tmp_path / name / "inner")
    assert list(tmp_path.iterdir()) == []


def test_ordinary_paths_are_taken_as_they_stand(tmp_path):
    with paths.literal(tmp_path / "x") as same:
        assert same == tmp_path / "x"
    assert RunDirectory(paths.of_user(str(tmp_path))).path == tmp_path
