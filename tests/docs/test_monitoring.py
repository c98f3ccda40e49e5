"""The commands of docs/monitoring.md, in a small form."""

import os
import re
import shlex
import subprocess
import sys
import time

from checkout import ROOT

LIMIT = 300  # seconds for a command here
SHORTER = ["--steps=2000", "--steps_per_epoch=10", "--pairings=1", "--batch_size=16", "--steps_per_execution=1"]
# Every epoch, and steps that there are; without the classifiers, which take longer than all the rest.
SOONER = ["--histograms_every=1", "--embeddings_every=1", "--coherence_every=0", "--profile_steps=3,4", "--panels_every=0"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}


def documented(program):
    text = (ROOT / "docs/monitoring.md").read_text().replace("\\\n", " ")
    return [shlex.split(line) for line in re.findall(rf"^    ({program} .*)", text, re.M)]


def test_the_documentation_s_commands_leave_what_it_says(tmp_path):
    """Trained with all that can be watched, a trace asked for meanwhile, and shown by TensorBoard."""
    (command,) = documented("python scripts/train.py")
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    port = "6217"
    arguments = [str(ROOT / command[1]), *command[2:], *SHORTER, *SOONER, f"--profiler_port={port}"]
    run = subprocess.Popen([sys.executable, *arguments], cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    try:
        logs = tmp_path / "runs/watched/logs"
        profiles = logs / "plugins/profile"
        until(lambda: len(list(profiles.glob("*/*.xplane.pb"))) == 1, run)
        (trace,) = documented("python -c")
        asked = trace[2].replace("6009", port)
        done = subprocess.run(
            [sys.executable, "-c", asked], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=LIMIT
        )
        assert done.returncode == 0, done.stderr[-2000:]
        found = sorted(profiles.glob("*/*.xplane.pb"))
        assert len(found) == 2
        assert all(b"digit_encoder" in file.read_bytes() for file in found), [file.stat().st_size for file in found]
        until(lambda: (logs / "plugins/org_tensorflow_tensorboard_projector/projector_config.pbtxt").exists(), run)
    finally:
        run.terminate()
        said = run.communicate(timeout=LIMIT)[1]
    assert list((logs / "histograms").iterdir())
    assert re.search(r"^step 10/2000: [\d.]+ s, [\d.]+ steps/s, [\d:]+ remaining; loss [-\d.]+, divergence ", said, re.M)
    assert "\r" not in said
    for line in documented("tensorboard"):
        assert line == ["tensorboard", "--logdir=runs"]


def until(true, run):
    end = time.monotonic() + LIMIT
    while not true():
        assert run.poll() is None, run.stderr.read()[-3000:]
        assert time.monotonic() < end
        time.sleep(0.2)
