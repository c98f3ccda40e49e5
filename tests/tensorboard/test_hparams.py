"""The HParams dashboard, as its own server answers: a row per run, what it was made with, how it ended, what was measured."""

import json

import pytest
from dashboards import context
from small_runs import config
from tensorboard.plugins.hparams import hparams_plugin
from werkzeug.test import Client

from mmtf.config import Config, ModelConfig
from mmtf.runs import events
from mmtf.tensorboard import hparams


def table(folder):
    """The rows: by the run's folder, values, metrics and status."""
    app = hparams_plugin.HParamsPlugin(context(folder)).get_plugin_apps()["/session_groups"]
    wanted = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]
    asked = {"colParams": [], "startIndex": 0, "sliceSize": 100, "allowedStatuses": wanted}
    answer = Client(app).post("/", data=json.dumps(asked), content_type="application/json")
    rows = {}
    for group in json.loads(answer.get_data())["sessionGroups"]:
        (session,) = group["sessions"]
        metrics = {m["name"]["tag"]: m for m in session.get("metricValues", [])}
        rows[session["name"].split("/")[0]] = group["hparams"], metrics, session
    return rows


def test_the_hparams_dashboard_has_a_row_with_what_a_run_was_made_with(watched):
    values, metrics, session = table(watched.path.parent)["run"]
    wanted = {n: v for part in watched.config().to_json().values() for n, v in part.items() if v is not None}
    assert values == {n: v for n, v in wanted.items() if n not in hparams.LEFT_OUT}
    assert {"beta", "seed", "steps", "shared_dim", "model", "dataset"} <= set(values)
    assert session["status"] == "STATUS_SUCCESS"
    assert session["endTimeSecs"] >= session["startTimeSecs"] > 0
    assert metrics["training/loss"]["value"] == pytest.approx(events.read_scalars(watched.logs)["loss"][1][-1], rel=1e-6)
    assert metrics["training/loss"]["trainingStep"] == 4


def test_what_was_measured_last_is_in_the_row(tmp_path):
    for name, beta in (("a", 1.0), ("b", 2.0)):
        with hparams.Session(tmp_path / name / "logs", Config(model=ModelConfig(beta=beta))):
            pass
    hparams.write_metrics(tmp_path / "a/logs", {"probe/1 given": 0.25, "coherence/random": 0.5}, step=10)
    hparams.write_metrics(tmp_path / "a/logs", {"probe/1 given": 0.75}, step=20)
    found = table(tmp_path)
    assert {name: row[0]["beta"] for name, row in found.items()} == {"a": 1.0, "b": 2.0}
    assert {tag: (m["value"], m["trainingStep"]) for tag, m in found["a"][1].items()} == {"probe/1 given": (0.75, 20)}
    assert found["b"][1] == {}


def test_sessions_that_fail_or_were_killed_or_go_on_say_so(tmp_path):
    logs = tmp_path / "run" / "logs"
    with pytest.raises(KeyboardInterrupt), hparams.Session(logs, config()):
        assert table(tmp_path)["run"][2]["status"] == "STATUS_UNKNOWN"
        raise KeyboardInterrupt
    assert table(tmp_path)["run"][2]["status"] == "STATUS_FAILURE"
    with hparams.Session(logs, config(8)):
        pass
    values, _, session = table(tmp_path)["run"]
    assert (session["status"], values["steps"]) == ("STATUS_SUCCESS", 8)
