"""The digits, served: the documentation's Python, requests and client, and a load of all signatures."""

import json
import re
import urllib.request
import warnings

import numpy as np
import pytest
import served
import serving as load
import tensorflow as tf
from checkout import ROOT, run

from mmtf.data import digits
from mmtf.verbs import evaluate

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs/serving.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S)


@pytest.fixture(scope="module")
def loaded(digits_export):
    return tf.saved_model.load(str(digits_export))


@pytest.fixture(scope="module")
def hosts(digits_export, loaded):
    with served.serving(digits_export.parent, {1: loaded}) as found:
        yield found


@pytest.fixture
def folder(digits_export, tmp_path, monkeypatch):
    (tmp_path / "saved_models").mkdir()
    (tmp_path / "saved_models/first").symlink_to(digits_export.parent)
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_trained_model_is_served(digits_run, loaded):
    model, _ = evaluate.load_model(digits_run)
    values = digits.load(pairings=1).test.take(np.arange(3))
    asked = {n: tf.constant(x) for n, x in values.items() if n != "word"}
    asked |= {"word": tf.constant(["".join(model.modalities["word"].alphabet[c] for c in word) for word in values["word"]])}
    found = loaded.signatures["encode_raw"](**asked)
    posterior = model.posterior(values | {"word": values["word"].astype(np.int32)})
    np.testing.assert_allclose(found["mean"], posterior.mean(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["stddev"], posterior.stddev(), rtol=1e-4, atol=1e-5)


def test_the_pages_python_runs(folder, hosts, capsys):
    rest, rpc = hosts
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*tf.lite.Interpreter is deprecated.*", category=UserWarning)
        here = {}
        for block in blocks("python"):
            exec(block.replace("localhost:8501", rest).replace("localhost:8500", rpc), here)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "<dtype: 'uint8'> (3,)"
    assert "True" in lines[1]
    assert here["nearest"].shape == (2,)
    assert len(here["rows"]) == len(here["pictures"]["digit"]) == 2


def test_the_pages_requests_are_answered(hosts):
    for body in blocks("json"):
        with urllib.request.urlopen(f"http://{hosts[0]}/v1/models/mmtf:predict", body.encode(), timeout=60) as answer:
            assert set(json.load(answer)) <= {"outputs", "predictions"}


def test_the_client_runs_as_a_program(hosts):
    rest, rpc = hosts
    done = run("docs/examples/serving_client.py", f"--rest={rest}", f"--grpc={rpc}", timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.splitlines()
    assert lines[0] == "REST: a word's digit and scene: (2, 28, 28, 1) (2, 32, 32, 3)"
    assert lines[1] == "REST: means of the shared codes: (4,) (4,) (4,)"
    assert lines[2] == "gRPC: means of the shared codes: (3, 4)"
    assert lines[3].startswith("gRPC: five words from the prior: ")


def test_a_small_load_has_no_error_and_a_row_for_each_signature(digits_export, loaded, monkeypatch):
    monkeypatch.setattr(load, "LARGEST_BATCH", 4)
    count = 3 * len(loaded.signatures)
    found = load.measured(loaded.signatures, load.modalities_of(digits_export), count, threads=4, warm_up=1)
    assert found.errors == []
    assert [row[:2] for row in found.rows] == [(name, 3) for name in sorted(loaded.signatures)]
    assert found.requests == count
    # More than the whole model would be a leak.
    assert found.growth < 100 * 2**20
