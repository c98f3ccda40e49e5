"""Two worker processes do what one process does: the same weights, terms and decisions; and what happens when one dies.

tests/distributed/test_strategies.py states the parts in one process.
"""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import workers
from checkout import ROOT, command, environment
from ports import free_ports
from waiting import LONG, until

from mmtf.distributed import random, strategies
from mmtf.runs import RunDirectory, events

pytestmark = pytest.mark.slow


def start(folder, name, *arguments):
    """Two processes with the same arguments, the one knowing of the other; what they print goes to files."""
    ports = free_ports(2)
    started = []
    for index in range(2):
        cluster = {"worker": [f"localhost:{port}" for port in ports]}
        own = {"cluster": cluster, "task": {"type": "worker", "index": index}}
        variables = environment(TF_CONFIG=json.dumps(own), PYTHONPATH=f"{ROOT}{os.pathsep}{ROOT / 'tests/support'}")
        with open(folder / f"output.{index}", "wb") as output:
            started.append(subprocess.Popen(command(name, *arguments), env=variables, stdout=output, stderr=output))
    return started


def finished(started, folder, seconds=LONG):
    """Exit statuses and outputs; no process is left."""
    try:
        statuses = [process.wait(seconds) for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    return statuses, [(folder / f"output.{index}").read_text(errors="replace") for index in range(2)]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    statuses, outputs = finished(start(folder, "tests/support/workers.py", folder), folder)
    assert statuses == [0, 0], "\n".join(output[-3000:] for output in outputs)
    return folder


def both(pair, name):
    found = []
    for index in range(2):
        with np.load(pair / f"{name}.{index}.npz") as file:
            found.append(dict(file))
    return found


@pytest.mark.parametrize("name", list(workers.VAES))
def test_two_workers_train_a_vae_as_one_process_does(pair, name):
    """A contrast is with the examples of the same device: there the one process has two devices."""
    first, second = both(pair, name)
    assert_equal(first, second)
    workers.assert_as(first, workers.vae(strategies.make_strategy("mirrored" if name == "contrast" else "one"), name))
    start = {f"weight/{n}": v.numpy() for n, v in workers.toys.model(workers.VAES[name][0], 2, count=2).named_weights().items()}
    assert any(not np.allclose(start[n], first[n], atol=1e-4) for n in start)


def test_two_workers_play_an_adversarial_model_as_one_process_does(pair):
    """Two optimizers, spectral norms, a moving average, and values that are no pairs."""
    first, second = both(pair, "game")
    assert_equal(first, second)
    workers.assert_as(first, workers.game(strategies.make_strategy("one")))


def assert_equal(first, second):
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)


def test_noise_of_two_workers_is_that_of_one_process(pair):
    noise = random.Noise([3, 4], 10)
    parts = both(pair, "draws")
    assert [part["replicas"] for part in parts] == [2, 2]
    np.testing.assert_array_equal(np.concatenate([part["normal"] for part in parts]), noise.normal("a", 2))
    np.testing.assert_array_equal(np.concatenate([part["strata"] for part in parts]), noise.strata("b"))


def test_what_one_worker_finds_both_say(pair):
    first, second = (list(part["said"]) for part in both(pair, "agreements"))
    assert first[:2] == second[:2] == ["False", "True"]
    assert (first[2], second[2]) == ("Worker 1 failed: no disk", "no disk")
    assert first[3] == second[3]
    assert first[3].startswith("It is 0 on worker 0 and 1 on worker 1.")


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The longest of the runs, on one device of one process."""
    return workers.trained(tmp_path_factory.mktemp("alone") / "run", strategy="one", **workers.LONG)


def assert_trained_as(run, alone, step):
    found, wanted = (workers.weights(r, step) for r in (run, alone))
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-3, atol=1e-4, err_msg=name)


def test_a_run_of_two_workers_is_that_of_one_process(pair, alone):
    """Begun, ended as the time of one was up, resumed by both from one directory; written by the chief alone."""
    run = RunDirectory.open(pair / "run")
    assert [int(part["time_up_at"]) for part in both(pair, "runs")] == [4, 4]
    assert steps(run.path) == 6
    assert [p.name for p in sorted(run.checkpoints.iterdir())] == ["step-4", "step-6"]
    assert len(list(run.logs.glob("*.panels"))) == 2
    assert "coherence/random" in events.read_scalars(run.logs)
    assert_trained_as(run, alone, 6)


def test_workers_stop_together_where_the_rows_of_one_give_a_value_that_is_none(pair):
    first, second = both(pair, "runs")
    assert str(first["problem"]).startswith("At step 5 these terms became NaN or infinite: log_likelihood/rest.")
    assert first["problem"] == second["problem"]
    assert steps(pair / "broken") == 4


def test_a_full_disk_at_the_end_is_said_by_both(pair):
    chief, other = (str(part["unwritten"]) for part in both(pair, "runs"))
    assert chief.startswith("Cannot write a checkpoint to ")
    assert "at step 2: No space left on device" in chief
    assert other == f"Worker 0 failed: {chief}"


def test_a_signal_to_one_worker_stops_both_within_the_epoch_and_the_run_goes_on(pair, alone):
    assert [int(part["code"]) for part in both(pair, "runs")] == [128 + signal.SIGTERM] * 2
    run = RunDirectory.open(pair / "signalled")
    assert [p.name for p in sorted(run.checkpoints.iterdir())] == ["step-4", "step-6", "step-8"]
    assert_trained_as(run, alone, 8)
    # The means of the epoch that was broken off are those of its six steps.
    (at, loss), (_, whole) = (events.read_scalars(r.logs)["loss"] for r in (run, alone))
    assert at == [6, 8]
    np.testing.assert_allclose(loss, whole, rtol=1e-3)


def steps(folder):
    return RunDirectory.open(folder).read_json("training.json")["steps"]


def test_a_worker_that_dies_stops_the_other_and_both_go_on_from_the_checkpoint(tmp_path):
    """Killed as by a power cut; and resumed by the launcher that docs/scaling.md shows."""
    data, rng = tmp_path / "data", np.random.default_rng(0)
    data.mkdir()
    for name in "ab":
        np.save(data / f"{name}.npy", rng.normal(size=(90, 3)))
    flags = ["--dataset=arrays", f"--data_dir={data}", "--model=mmvae", "--shared_dim=4", "--batch_size=16", "--panels_every=0"]
    flags += ["--steps_per_epoch=10", "--steps_per_execution=10", f"--run_dir={tmp_path / 'run'}"]
    started = start(tmp_path, "scripts/train.py", *flags, "--steps=10000000")
    try:
        until(lambda: list((tmp_path / "run/checkpoints").glob("step-*")), started)
        started[1].send_signal(signal.SIGKILL)
        assert started[0].wait(LONG) == 2
    finally:
        _, outputs = finished(started, tmp_path, 1)
    assert "error: Another worker of this run stopped or cannot be reached" in outputs[0]
    assert "with --resume" in outputs[0]
    kept = newest(tmp_path / "run")
    launch = [ROOT / "docs/examples/workers.sh", "2", *flags, f"--steps={kept + 10}", "--resume"]
    variables = environment(PYTHON=sys.executable)
    done = subprocess.run(launch, env=variables, capture_output=True, text=True, timeout=LONG, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert newest(tmp_path / "run") == steps(tmp_path / "run") == kept + 10
    assert done.stdout.count("Trained") == 1
    assert f"Trained {kept + 10} steps" in done.stdout


def newest(run):
    return max(int(path.name.split("-")[1]) for path in (run / "checkpoints").glob("step-*"))
