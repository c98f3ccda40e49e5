"""The examples of the documentation run, and leave what they say they leave."""

import json

import pytest
from checkout import call


@pytest.mark.slow
def test_curves_leaves_its_numbers_and_a_figure_for_each_seed(tmp_path):
    done = call("docs/examples/curves.py", f"--out={tmp_path / 'curves'}", "--steps=2", "--batch_size=8")
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((tmp_path / "curves" / "curves.json").read_text())
    assert set(found["seeds"]["0"]) >= {"distance_of_pairs", "distance_of_others", "crossed_correlation"}
    assert (tmp_path / "curves" / "seed0.png").stat().st_size > 10_000
