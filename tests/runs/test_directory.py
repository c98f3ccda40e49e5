"""A run directory is never silently overwritten, its files are whole at every moment, and what is wrong is said."""

import json
import os

import pytest

from mmtf.config import Config, ModelConfig, TrainConfig
from mmtf.errors import UserError
from mmtf.modality import Modality
from mmtf.runs import RunDirectory, write_atomically

CONFIG = Config(model=ModelConfig(beta=2.0))


PARTS = (Modality("image", (2, 2, 1)),)


def start(path, config, **how):
    """Claims and begins, as train does."""
    run = RunDirectory.claim(path, config, **how)
    run.begin(config, PARTS, {"data.json": b"{}"}, overwrite=how.get("overwrite", False))
    return run


def test_start_writes_the_config_and_open_reads_it(tmp_path):
    start(tmp_path / "run", CONFIG)
    assert RunDirectory.open(tmp_path / "run").config() == CONFIG


def test_a_run_is_not_overwritten_unless_asked(tmp_path):
    run = start(tmp_path / "run", CONFIG)
    run.write_json("metrics.json", {"old": 1})
    with pytest.raises(UserError, match=r"already holds a run.*--resume.*--overwrite"):
        start(run.path, CONFIG)
    assert run.read_json("metrics.json") == {"old": 1}
    (run.path / "metrics.1.json").write_text("{}")
    (run.path / "notes.txt").write_text("mine")
    other = Config(model=ModelConfig(beta=3.0))
    RunDirectory.claim(run.path, other, overwrite=True)
    assert run.read_json("metrics.json") == {"old": 1}
    start(run.path, other, overwrite=True)
    assert run.config() == other
    assert not (run.path / "metrics.json").exists()
    assert not (run.path / "metrics.1.json").exists()
    assert (run.path / "notes.txt").read_text() == "mine"


def test_resume_wants_the_same_config(tmp_path):
    run = start(tmp_path / "run", CONFIG)
    start(run.path, CONFIG, resume=True)
    with pytest.raises(UserError, match=r"--beta was 2\.0 and is 5\.0"):
        start(run.path, Config(), resume=True)
    assert run.config() == CONFIG
    cosine = Config(model=CONFIG.model, train=TrainConfig(learning_rate_schedule="cosine"))
    other = start(tmp_path / "cosine", cosine)
    with pytest.raises(UserError, match="--epochs was 50 and is 60"):
        start(
            other.path, Config(model=CONFIG.model, train=TrainConfig(learning_rate_schedule="cosine", epochs=60)), resume=True
        )
    longer = Config(model=CONFIG.model, train=TrainConfig(epochs=99))
    start(run.path, longer, resume=True)
    assert run.config() == longer


def test_bad_directories_are_refused(tmp_path):
    RunDirectory.claim(tmp_path / "none", CONFIG, resume=True)  # there is nothing to resume: one may start
    with pytest.raises(UserError, match="holds no run"):
        RunDirectory.open(tmp_path / "none")
    with pytest.raises(UserError, match="contradict"):
        start(tmp_path / "none", CONFIG, resume=True, overwrite=True)
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="is a file"):
        start(tmp_path / "file", CONFIG)
    with pytest.raises(UserError, match="other files and no run"):
        start(tmp_path, CONFIG)
    with pytest.raises(UserError, match="other files and no run"):
        start(tmp_path, CONFIG, overwrite=True)
    assert not (tmp_path / "none").exists()


def test_a_directory_that_cannot_be_written_is_refused():
    with pytest.raises(UserError, match="Cannot write to /proc/nowhere"):
        start("/proc/nowhere", CONFIG)


def test_a_full_disk_is_said_and_the_old_file_stays(tmp_path, monkeypatch):
    run = start(tmp_path / "run", CONFIG)
    run.write_json("metrics.json", {"old": 1})

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"metrics\.json: No space left on device"):
        run.write_json("metrics.json", {"new": 2})
    assert run.read_json("metrics.json") == {"old": 1}
    assert sorted(p.name for p in run.path.iterdir()) == ["config.json", "data.json", "metrics.json", "modalities.json"]


def test_a_new_file_has_the_usual_permissions_and_nothing_of_the_process_changes(tmp_path, monkeypatch):
    """Files are written by several threads, beside processes that are being started."""
    before = os.umask(0o027)
    try:
        monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("changed for all threads"))
        write_atomically(tmp_path / "new" / "file", b"x")
        monkeypatch.undo()
    finally:
        os.umask(before)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file"]
    assert (tmp_path / "new" / "file").stat().st_mode & 0o777 == 0o640


def test_damaged_json_is_named(tmp_path):
    run = start(tmp_path / "run", CONFIG)
    (run.path / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"config\.json is damaged"):
        run.config()
    with pytest.raises(UserError, match=r"has no training\.json"):
        run.read_json("training.json")


def test_modalities_survive_the_round_trip(tmp_path):
    run = start(tmp_path / "run", CONFIG)
    parts = (
        Modality("image", (2, 2, 1), private_dim=4, likelihood_weight=3.5),
        Modality("text", (8,), "categorical", num_classes=2, alphabet="ab"),
    )
    run.begin(CONFIG, parts, {})
    assert run.modalities() == parts


def test_atomic_files_have_the_usual_permissions(tmp_path):
    plain = tmp_path / "plain"
    plain.write_text("x")
    write_atomically(tmp_path / "file", json.dumps({}).encode())
    assert (tmp_path / "file").stat().st_mode == plain.stat().st_mode
