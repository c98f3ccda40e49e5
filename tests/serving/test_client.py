"""The documentation's client asks the same over REST and gRPC, and gets what the SavedModel answers; and a small load test."""

import json
import subprocess
import sys
import types
import urllib.request

import grpc
import numpy as np
import pytest
import served
import serving as load
import serving_client as client
import tensorflow as tf
from checkout import ROOT
from tensorflow_serving.apis import predict_pb2

from mmtf.modality import Modality
from mmtf.serving import warmup


@pytest.fixture(scope="module")
def signatures(loaded):
    return loaded.signatures


@pytest.fixture(scope="module")
def hosts(exported, loaded):
    with served.serving(exported[1].parent, {1: loaded}) as found:
        yield found


def as_arrays(outputs, function):
    """JSON outputs by name, in the types of the signature; TensorFlow Serving names no single one."""
    specs = function.structured_outputs
    outputs = outputs if isinstance(outputs, dict) else {next(iter(specs)): outputs}
    return {n: np.array(outputs[n]) for n in specs}


def assert_same(found, wanted):
    assert set(found) == set(wanted)
    for name, x in wanted.items():
        x = x.numpy()
        if x.dtype == object:
            assert [s if isinstance(s, bytes) else s.encode() for s in found[name]] == x.tolist()
        else:
            np.testing.assert_allclose(found[name], x, rtol=1e-5, atol=1e-5, err_msg=name)


def test_every_signature_answers_the_same_over_rest_and_grpc(hosts, signatures):
    rest, rpc = hosts
    for name, function in signatures.items():
        inputs = {n: x.numpy() for n, x in warmup.example(function, size=2).items()}
        wanted = function(**{n: tf.constant(x) for n, x in inputs.items()})
        given = {n: x.tolist() if x.dtype == object else x for n, x in inputs.items()}
        assert_same(as_arrays(client.over_rest(rest, "mmtf", name, given), function), wanted)
        assert_same(client.over_grpc(rpc, "mmtf", name, inputs), wanted)


def test_rows_are_what_columns_are(hosts, signatures):
    rest, _ = hosts
    batch = client.mixed_batch()
    columns = client.over_rest(rest, "mmtf", "encode_any_raw", batch, version=1)
    rows = client.rows_over_rest(rest, "mmtf", "encode_any_raw", [{n: x[i] for n, x in batch.items()} for i in range(3)])
    for name in ("mean", "stddev"):
        np.testing.assert_array_equal(columns[name], [row[name] for row in rows])
    wanted = signatures["encode_any_raw"](**{n: tf.constant(x) for n, x in batch.items()})
    np.testing.assert_allclose(columns["mean"], wanted["mean"], rtol=1e-5, atol=1e-6)
    # Of a single input the value alone will do, and of a single output it is all that comes.
    body = {"signature_name": "embed_word_raw", "instances": ["four", {"b64": "Zm91cg=="}]}
    with urllib.request.urlopen(f"http://{rest}/v1/models/mmtf:predict", json.dumps(body).encode(), timeout=60) as answer:
        one, other = json.load(answer)["predictions"]
    assert one == other
    assert len(one) == 8


def test_texts_may_be_strings_or_base64(hosts):
    rest, _ = hosts
    as_strings = client.over_rest(rest, "mmtf", "encode_word_raw", {"word": ["four", "  Nine"]})
    as_bytes = client.over_rest(rest, "mmtf", "encode_word_raw", {"word": [b"four", b"  nine"]})
    assert as_strings == as_bytes


def test_what_came_over_grpc_goes_over_rest(hosts):
    rest, rpc = hosts
    drawn = client.over_grpc(rpc, "mmtf", "generate_raw", {"n": np.int32(3), "seed": np.array([0, 1], np.int32)})
    batch = drawn | {f"present_{n}": np.ones(3, bool) for n in drawn}
    found = client.over_rest(rest, "mmtf", "encode_any_raw", batch)
    rows = client.rows_over_rest(rest, "mmtf", "encode_any_raw", [{n: x[i] for n, x in batch.items()} for i in range(3)])
    np.testing.assert_array_equal(found["mean"], [row["mean"] for row in rows])
    wanted = client.over_grpc(rpc, "mmtf", "encode_any_raw", batch)
    np.testing.assert_allclose(found["mean"], wanted["mean"], rtol=1e-5, atol=1e-6)


def test_messages_over_grpc_may_be_large(hosts):
    # 4.9 MB there and 6.2 MB back.
    scenes = np.zeros([400, 32, 32, 3], np.float32)
    assert client.over_grpc(hosts[1], "mmtf", "encode_scene", {"scene": scenes})["shared_mean"].shape == (400, 4)
    found = client.over_grpc(hosts[1], "mmtf", "generate", {"n": np.int32(400), "seed": np.array([0, 1], np.int32)})
    assert found["scene"].shape == (400, 32, 32, 3)


@pytest.mark.parametrize(
    ("signature", "inputs", "message"),
    [
        ("encode_word_raw", {"word": ["fünf"]}, "word: wanted only the 71 characters of the alphabet"),
        ("encode_word_raw", {"word": [b"f\xfcnf"]}, "word: wanted UTF-8 texts, but example 0 has"),
        ("encode_digit", {"digit": [[[[2.0]] * 28] * 28]}, "digit: wanted numbers in 0..1, but example 0 has 2"),
        ("encode_digit_raw", {"digit": [[[[0.5]] * 28] * 28]}, "is not of expected type: uint8"),
        ("generate", {"n": 0, "seed": [0, 1]}, "n: wanted 1 or more, but it is 0"),
        ("generate", {"n": 1}, "input names"),
        ("nothing", {}, "nothing"),
    ],
)
def test_a_wrong_request_gets_an_error_that_says_why(hosts, signature, inputs, message):
    with pytest.raises(RuntimeError) as caught:
        client.over_rest(hosts[0], "mmtf", signature, inputs)
    assert message in str(caught.value)
    # The machine on which it was exported is nobody's business.
    assert str(ROOT) not in str(caught.value)


def test_errors_over_grpc_have_their_code(hosts):
    with pytest.raises(grpc.RpcError) as caught:
        client.over_grpc(hosts[1], "mmtf", "encode_word_raw", {"word": np.array(["abcdefghi"], object)})
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "word: wanted texts of at most 8 characters, but example 0 has 9" in caught.value.details()
    with pytest.raises(grpc.RpcError) as caught:
        client.over_grpc(hosts[1], "mmtf", "encode_word_raw", {}, version=9)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_a_request_survives_its_way_over_the_wire(signatures):
    inputs = warmup.example(signatures["sample_from_any_raw"], size=3)
    again = predict_pb2.PredictRequest.FromString(warmup.request("mmtf", "sample_from_any_raw", inputs).SerializeToString())
    for name, x in inputs.items():
        np.testing.assert_array_equal(tf.make_ndarray(again.inputs[name]), x)


def test_the_client_runs_as_a_program(hosts):
    rest, rpc = hosts
    command = [sys.executable, ROOT / "docs/examples/serving_client.py", f"--rest={rest}", f"--grpc={rpc}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.splitlines()
    assert lines[0] == "REST: a word's digit and scene: (2, 28, 28, 1) (2, 32, 32, 3)"
    assert lines[1] == "REST: means of the shared codes: (4,) (4,) (4,)"
    assert lines[2] == "gRPC: means of the shared codes: (3, 4)"
    assert lines[3].startswith("gRPC: five words from the prior: ")


def test_the_client_wants_to_know_whom_to_ask():
    command = [sys.executable, ROOT / "docs/examples/serving_client.py", "--model=mmtf"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode != 0
    assert "Name a server: --rest=" in done.stdout + done.stderr


def test_a_small_load_has_no_error_and_a_row_for_each_signature(exported, signatures, monkeypatch):
    monkeypatch.setattr(load, "LARGEST_BATCH", 4)
    count = 3 * len(signatures)
    found = load.measured(signatures, load.modalities_of(exported[1]), count, threads=4, warm_up=1)
    assert found.errors == []
    assert [row[0] for row in found.rows] == sorted(signatures)
    assert [row[1] for row in found.rows] == [3] * len(signatures)
    assert found.requests == count
    for _, _, median, high, highest, per_second in found.rows:
        assert 0 < median <= high <= highest
        assert per_second > 0
    assert len(found.resident) == 11
    # More than the whole model would be a leak.
    assert found.growth < 100 * 2**20
    assert f"| `{found.rows[0][0]}` | 3 |" in load.table(found)


def test_a_load_counts_what_fails(exported, signatures, monkeypatch):
    some = {name: signatures[name] for name in ("generate", "compare", "encode_any_raw")}
    monkeypatch.setattr(load, "_other", lambda name, spec, size, rng: np.zeros([size if d is None else d for d in spec.shape]))
    found = load.measured(some, load.modalities_of(exported[1]), 30, threads=2, warm_up=0)
    assert len(found.errors) == 20
    assert {error.partition(":")[0] for error in found.errors} == {"generate", "compare"}
    assert any("n: wanted 1 or more, but it is 0" in error for error in found.errors)
    # What failed at the door was answered no faster.
    assert [row[:2] for row in found.rows] == [("encode_any_raw", 10)]
    assert "30 requests in" in load.table(found)
    assert "20 errors" in load.table(found)


def test_failed_requests_are_a_problem_of_the_benchmark():
    assert load.problems({"errors": []}) == []
    assert load.problems({"errors": ["generate: no", "compare: no"]}) == [
        "Serving: 2 of the requests failed, the first: generate: no"
    ]


def test_memory_that_cannot_be_read_is_not_called_small(exported, signatures, monkeypatch):
    monkeypatch.setattr(load, "resident_bytes", lambda: None)
    found = load.measured({"generate": signatures["generate"]}, load.modalities_of(exported[1]), 10, threads=1, warm_up=1)
    assert found.growth is None
    assert "memory was not measured" in load.table(found)


def test_a_code_that_is_called_like_a_modality_is_asked_as_a_code():
    modalities = {"shared": Modality("shared", (2, 2, 1))}
    spec = {"shared": tf.TensorSpec([None, 4], name="shared")}
    function = types.SimpleNamespace(structured_input_signature=((), spec))
    inputs, size = load.request(function, modalities, np.random.default_rng(0))
    assert inputs["shared"].shape == (size, 4)


def test_random_requests_are_of_every_set_of_modalities_and_filled_with_what_nothing_may_depend_on(exported, signatures):
    modalities, rng = load.modalities_of(exported[1]), np.random.default_rng(0)
    inputs = [load.request(signatures["encode_any"], modalities, rng)[0] for _ in range(20)]
    masks = np.concatenate([np.stack([x[f"present_{n}"] for n in modalities], 1) for x in inputs])
    assert len(np.unique(masks, axis=0)) == 7
    for x in inputs:
        there = x["present_digit"].numpy()
        assert np.isnan(x["digit"].numpy()[~there]).all()
        assert not np.isnan(x["digit"].numpy()[there]).any()


def test_the_load_test_is_a_script(exported, tmp_path):
    command = [sys.executable, ROOT / "scripts/load_test.py", f"--model_dir={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, "holds no SavedModel" in done.stderr) == (2, True)
    (tmp_path / "saved_model.pb").touch()
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, "(assets.extra/mmtf.json); name a version" in done.stderr) == (2, True)
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / "assets.extra/mmtf.json").write_text('{"modalities": [')
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, "export the model again" in done.stderr) == (2, True)


def test_a_limit_on_memory_is_refused_where_memory_cannot_be_read(exported):
    program = f"""
import runpy, sys
sys.path.insert(0, {str(ROOT / "benchmarks")!r})
import serving
serving.resident_bytes = lambda: None
sys.argv = ["load_test.py", {f"--model_dir={exported[1]}"!r}, "--grown_mb=5"]
runpy.run_path({str(ROOT / "scripts/load_test.py")!r}, run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, "--grown_mb cannot be kept here" in done.stderr) == (2, True)
