"""docs/serving.md: its Python runs, its requests are answered, and its table names the signatures that there are."""

import json
import re
import urllib.request
import warnings

import pytest
import served
from checkout import ROOT

PAGE = (ROOT / "docs/serving.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S)


@pytest.fixture
def folder(exported, tmp_path, monkeypatch):
    (tmp_path / "saved_models").mkdir()
    (tmp_path / "saved_models/first").symlink_to(exported[1].parent)
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_its_python_runs(folder, exported, loaded, capsys):
    with served.serving(exported[1].parent, {1: loaded}) as (rest, rpc), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*tf.lite.Interpreter is deprecated.*", category=UserWarning)
        here = {}
        for block in blocks("python"):
            exec(block.replace("localhost:8501", rest).replace("localhost:8500", rpc), here)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "<dtype: 'uint8'> (3,)"
    assert "True" in lines[1]
    assert here["nearest"].shape == (2,)
    assert len(here["rows"]) == len(here["pictures"]["digit"]) == 2


def test_its_requests_are_answered(exported, loaded):
    with served.serving(exported[1].parent, {1: loaded}) as (rest, _):
        for body in blocks("json"):
            with urllib.request.urlopen(f"http://{rest}/v1/models/mmtf:predict", body.encode(), timeout=60) as answer:
                assert set(json.load(answer)) <= {"outputs", "predictions"}


def test_its_table_names_every_signature_and_no_other(loaded):
    table = PAGE[PAGE.index("| signature |") : PAGE.index("Images are float32 in 0..1")]
    rows = [line.split("|")[1] for line in table.splitlines()[2:] if line.startswith("|")]
    named = set(re.findall(r"`(\w+)`", "".join(rows)))
    expanded = {name.replace("_X", f"_{x}") for name in named for x in ("digit", "scene", "word")}
    assert {name.removesuffix("_raw") for name in loaded.signatures} == expanded
