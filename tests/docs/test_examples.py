"""The examples of the documentation run, and leave what they say they leave."""

import json
import re

import pytest
from checkout import ROOT, call


@pytest.mark.slow
def test_curves_leaves_its_numbers_and_a_figure_for_each_seed(tmp_path):
    done = call("docs/examples/curves.py", f"--out={tmp_path / 'curves'}", "--steps=2", "--batch_size=8")
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((tmp_path / "curves" / "curves.json").read_text())
    assert set(found["seeds"]["0"]) >= {"distance_of_pairs", "distance_of_others", "crossed_correlation"}
    assert (tmp_path / "curves" / "seed0.png").stat().st_size > 10_000


@pytest.mark.slow
def test_the_page_about_keras_runs_as_it_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs/keras.md").read_text(encoding="utf-8")
    program = "\n".join(re.findall(r"^```python\n(.*?)^```", text, re.M | re.S))
    assert program.count("assert") == 2
    exec(compile(program, "docs/keras.md", "exec"), {"__name__": "page"})
    assert (tmp_path / "model.keras").exists()
