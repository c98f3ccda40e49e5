"""The examples of the documentation run, and leave what they say they leave."""

import json
import os
import subprocess
import sys

from checkout import ROOT


def test_curves_leaves_its_numbers_and_a_figure_for_each_seed(tmp_path):
    command = [sys.executable, ROOT / "docs/examples/curves.py", f"--out={tmp_path / 'curves'}", "--steps=2", "--batch_size=8"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((tmp_path / "curves" / "curves.json").read_text())
    assert set(found["seeds"]["0"]) >= {"distance_of_pairs", "distance_of_others", "crossed_correlation"}
    assert (tmp_path / "curves" / "seed0.png").stat().st_size > 10_000
