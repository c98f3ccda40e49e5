"""The commands of docs/monitoring.md, in a small form."""

import re
import shlex
import subprocess
import sys

import pytest
from checkout import MMTF, ROOT, command, environment
from ports import free_ports
from waiting import LONG, until

pytestmark = pytest.mark.slow
# Practically without an end; and epochs of which each takes longer than what is written after it.
SHORTER = ["--steps=10000000", "--steps_per_epoch=200", "--pairings=1", "--batch_size=16", "--steps_per_execution=1"]
# Every epoch, and steps that there are; without the classifiers, which take longer than all the rest.
SOONER = ["--histograms_every=1", "--embeddings_every=1", "--coherence_every=0", "--profile_steps=3,4", "--panels_every=0"]


def documented(program):
    text = (ROOT / "docs/monitoring.md").read_text().replace("\\\n", " ")
    return [shlex.split(line) for line in re.findall(rf"^    ({program} .*)", text, re.M)]


def test_the_documentation_s_commands_leave_what_it_says(tmp_path):
    """Trained with all that can be watched, a trace asked for meanwhile, and shown by TensorBoard."""
    (documented_run,) = documented("mmtf train")
    (port,) = free_ports(1)
    arguments = [*documented_run[2:], *SHORTER, *SOONER, f"--profiler_port={port}"]
    logs = tmp_path / "runs/watched/logs"
    profiles = logs / "plugins/profile"
    # To a file: a pipe that nobody reads would be full one day, and hold the run up.
    with (tmp_path / "said").open("w") as said:
        run = subprocess.Popen(command(MMTF, "train", *arguments), cwd=tmp_path, env=environment(), stderr=said)
    try:
        until(lambda: list(profiles.glob("*/*.xplane.pb")), [run])
        (first,) = profiles.glob("*/*.xplane.pb")
        until(lambda: b"digit_encoder" in first.read_bytes(), [run])
        (trace,) = documented("python -c")
        asked = [sys.executable, "-c", trace[2].replace("6009", str(port))]
        # The steps of a slow machine may all lie beside the seconds that are traced.
        complaints = []
        until(lambda: traced(asked, tmp_path, profiles, complaints), [run], saying=complaints)
        until(lambda: list((logs / "histograms").glob("*")), [run])
        until((logs / "plugins/org_tensorflow_tensorboard_projector/projector_config.pbtxt").exists, [run])
        line = r"^step 200/10000000: [\d.]+ s, [\d.]+ steps/s, [\d:]+ remaining; loss [-\d.]+, divergence "
        until(lambda: re.search(line, (tmp_path / "said").read_text(), re.M), [run])
    finally:
        run.terminate()
        run.wait(LONG)
    said = (tmp_path / "said").read_text()
    assert run.returncode == 143, said[-3000:]
    assert "\r" not in said
    for line in documented("tensorboard"):
        assert line == ["tensorboard", "--logdir=runs"]


def traced(asked, folder, profiles, complaints):
    """Whether a trace that is asked for now has steps of training in it. Of one without any event TensorFlow complains."""
    before = set(profiles.glob("*/*.xplane.pb"))
    done = subprocess.run(asked, cwd=folder, env=environment(), capture_output=True, text=True, check=False, timeout=LONG)
    complaints.append(f"status {done.returncode}: {done.stderr[-2000:]}")
    new = set(profiles.glob("*/*.xplane.pb")) - before
    return done.returncode == 0 and any(b"digit_encoder" in file.read_bytes() for file in new)
