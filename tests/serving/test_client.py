"""The documentation's client asks the same over REST and gRPC, and gets what the SavedModel answers."""

import json
import types
import urllib.request

import grpc
import numpy as np
import pytest
import served
import serving_client as client
import tensorflow as tf
from absl import app
from checkout import ROOT
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from mmtf.serving import warmup
from mmtf.verbs.export import EXTRA

# Numbers that came in another batch, or another way.
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture(scope="module")
def signatures(loaded):
    return loaded.signatures


@pytest.fixture(scope="module")
def hosts(small_export, loaded):
    with served.serving(small_export.parent, {1: loaded}) as found:
        yield found


def mixed_batch():
    """Three examples: a text; a black image; both and numbers. What stands for a missing value does not matter."""
    vector = np.array([[1e30] * 3, [-7.0] * 3, [1, 2, 3]], np.float32)
    there = {"image": [False, True, True], "text": [True, False, True], "vector": [False, False, True]}
    values = {"image": np.zeros([3, 4, 4, 1], np.uint8), "text": ["three", "", "One"], "vector": vector}
    return values | {f"present_{n}": np.array(x) for n, x in there.items()}


def rows_of(batch):
    return [{n: x[i] for n, x in batch.items()} for i in range(3)]


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
            np.testing.assert_allclose(found[name], x, **CLOSE, err_msg=name)


def test_every_signature_answers_the_same_over_rest_and_grpc(hosts, signatures):
    rest, rpc = hosts
    for name, function in signatures.items():
        inputs = {n: x.numpy() for n, x in warmup.example(function, size=2).items()}
        wanted = function(**{n: tf.constant(x) for n, x in inputs.items()})
        given = {n: x.tolist() if x.dtype == object else x for n, x in inputs.items()}
        assert_same(as_arrays(client.over_rest(rest, "mmtf", name, given), function), wanted)
        assert_same(client.over_grpc(rpc, "mmtf", name, inputs), wanted)


def test_every_signature_has_a_warm_up_request_that_it_answers(small_export, signatures):
    """As a server reads the file: records of PredictionLog, at most 1,000, each a request to a signature."""
    records = list(tf.data.TFRecordDataset(str(small_export / EXTRA / "tf_serving_warmup_requests")))
    asked = []
    for record in records:
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        assert log.WhichOneof("log_type") == "predict_log"
        request = log.predict_log.request
        inputs = {n: tf.constant(tf.make_ndarray(x)) for n, x in request.inputs.items()}
        for output in signatures[request.model_spec.signature_name](**inputs).values():
            assert output.dtype == tf.string or np.all(np.isfinite(output))
        asked.append(request.model_spec.signature_name)
    assert sorted(asked) == sorted(signatures)
    assert len(records) <= 1000


def test_warm_up_requests_are_of_one_example(signatures):
    found = warmup.example(signatures["score_any_raw"])
    assert {n: (x.shape.as_list(), x.dtype.name) for n, x in found.items() if "vector" not in n and "text" not in n} == {
        "image": ([1, 4, 4, 1], "uint8"), "present_image": ([1], "bool"), "n": ([], "int32"), "seed": ([2], "int32"),
    }  # fmt: skip
    assert found["text"].numpy().tolist() == [b""]
    assert found["n"].numpy() == 1


def test_rows_are_what_columns_are(hosts, signatures):
    rest, _ = hosts
    batch = mixed_batch()
    columns = client.over_rest(rest, "mmtf", "encode_any_raw", batch, version=1)
    rows = client.rows_over_rest(rest, "mmtf", "encode_any_raw", rows_of(batch))
    for name in ("mean", "stddev"):
        np.testing.assert_allclose(columns[name], [row[name] for row in rows], **CLOSE)
    wanted = signatures["encode_any_raw"](**{n: tf.constant(x) for n, x in batch.items()})
    np.testing.assert_allclose(columns["mean"], wanted["mean"], **CLOSE)
    # Of a single input the value alone will do, and of a single output it is all that comes.
    body = {"signature_name": "embed_text_raw", "instances": ["four", {"b64": "Zm91cg=="}]}
    with urllib.request.urlopen(f"http://{rest}/v1/models/mmtf:predict", json.dumps(body).encode(), timeout=60) as answer:
        one, other = json.load(answer)["predictions"]
    np.testing.assert_allclose(one, other, **CLOSE)
    assert len(one) == 8


def test_texts_may_be_strings_or_base64(hosts):
    rest, _ = hosts
    as_strings = client.over_rest(rest, "mmtf", "encode_text_raw", {"text": ["four", " Nine"]})
    as_bytes = client.over_rest(rest, "mmtf", "encode_text_raw", {"text": [b"four", b" nine"]})
    for name, x in as_strings.items():
        np.testing.assert_allclose(x, as_bytes[name], **CLOSE)


def test_what_came_over_grpc_goes_over_rest(hosts):
    rest, rpc = hosts
    drawn = client.over_grpc(rpc, "mmtf", "generate_raw", {"n": np.int32(3), "seed": np.array([0, 1], np.int32)})
    batch = drawn | {f"present_{n}": np.ones(3, bool) for n in drawn}
    found = client.over_rest(rest, "mmtf", "encode_any_raw", batch)
    rows = client.rows_over_rest(rest, "mmtf", "encode_any_raw", rows_of(batch))
    np.testing.assert_allclose(found["mean"], [row["mean"] for row in rows], **CLOSE)
    wanted = client.over_grpc(rpc, "mmtf", "encode_any_raw", batch)
    np.testing.assert_allclose(found["mean"], wanted["mean"], **CLOSE)


def test_messages_over_grpc_may_be_large(hosts):
    # 6.4 MB there and 4.8 MB back.
    queries, candidates = np.ones([200_000, 8], np.float32), np.ones([6, 8], np.float32)
    found = client.over_grpc(hosts[1], "mmtf", "compare", {"queries": queries, "candidates": candidates})
    assert found["score"].shape == (200_000, 6)


@pytest.mark.parametrize(
    ("signature", "inputs", "message"),
    [
        ("encode_text_raw", {"text": ["fünf"]}, "text: wanted only the 71 characters of the alphabet"),
        ("encode_text_raw", {"text": [b"f\xfcnf"]}, "text: wanted UTF-8 texts, but example 0 has"),
        ("encode_image", {"image": [[[[2.0]] * 4] * 4]}, "image: wanted numbers in 0..1, but example 0 has 2"),
        ("encode_image_raw", {"image": [[[[0.5]] * 4] * 4]}, "is not of expected type: uint8"),
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
        client.over_grpc(hosts[1], "mmtf", "encode_text_raw", {"text": np.array(["abcdef"], object)})
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "text: wanted texts of at most 5 characters, but example 0 has 6" in caught.value.details()
    with pytest.raises(grpc.RpcError) as caught:
        client.over_grpc(hosts[1], "mmtf", "encode_text_raw", {}, version=9)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_a_request_survives_its_way_over_the_wire(signatures):
    inputs = warmup.example(signatures["sample_from_any_raw"], size=3)
    again = predict_pb2.PredictRequest.FromString(warmup.request("mmtf", "sample_from_any_raw", inputs).SerializeToString())
    for name, x in inputs.items():
        np.testing.assert_array_equal(tf.make_ndarray(again.inputs[name]), x)


def test_the_client_wants_to_know_whom_to_ask(monkeypatch):
    for flag in ("REST", "GRPC"):
        monkeypatch.setattr(client, flag, types.SimpleNamespace(value=None))
    with pytest.raises(app.UsageError, match="Name a server: --rest="):
        client.main([])
