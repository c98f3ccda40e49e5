"""Asks a served model: python docs/examples/serving_client.py --rest=localhost:8501 --grpc=localhost:8500 --model=mmtf

Over REST with the standard library alone, over gRPC with tensorflow-serving-api. The words of the data set `digits` become
pictures, and a batch of which each example has other modalities becomes codes.
"""

import base64
import json
import urllib.error
import urllib.request

import numpy as np
from absl import app, flags

REST = flags.DEFINE_string("rest", None, "Host and port of the REST interface; TensorFlow Serving's is 8501.")
GRPC = flags.DEFINE_string("grpc", None, "Host and port of the gRPC interface; TensorFlow Serving's is 8500.")
MODEL = flags.DEFINE_string("model", "mmtf", "Name that the server gives the model.")
SECONDS = 60.0
# gRPC's own limit is 4 MB: 341 scenes of the digits as floats.
ANY_SIZE = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))


def over_rest(host, model, signature, inputs, version=None):
    """Outputs of a signature, by the column format: arrays as nested lists; of a single output its value alone.

    Args:
      inputs: arrays, numbers or lists, by name.
      version: of the model; the newest by default.
    """
    body = {"signature_name": signature, "inputs": {n: as_json(x) for n, x in inputs.items()}}
    return _posted(host, model, version, body)["outputs"]


def rows_over_rest(host, model, signature, rows, version=None):
    """The same by the row format: a dict for each example in, one out. Only of signatures all of whose inputs have a row for
    each example, and so not of those with `n` or `seed`."""
    instances = [{n: as_json(x) for n, x in row.items()} for row in rows]
    return _posted(host, model, version, {"signature_name": signature, "instances": instances})["predictions"]


def over_grpc(host, model, signature, inputs, version=None):
    """Outputs of a signature as arrays, by name."""
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    if version is not None:
        request.model_spec.version.value = version
    for name, x in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(x))
    with grpc.insecure_channel(host, options=ANY_SIZE) as channel:
        response = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=SECONDS)
    return {name: tf.make_ndarray(x) for name, x in response.outputs.items()}


def as_json(x):
    """A value as TensorFlow Serving reads it in JSON: strings as they are, bytes as {"b64": ...}."""
    if isinstance(x, bytes):
        return {"b64": base64.b64encode(x).decode()}
    if isinstance(x, list | tuple):
        return [as_json(y) for y in x]
    return as_json(x.tolist()) if isinstance(x, np.ndarray | np.generic) else x


def _posted(host, model, version, body):
    which = model if version is None else f"{model}/versions/{version}"
    request = urllib.request.Request(f"http://{host}/v1/models/{which}:predict", json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        raise RuntimeError(json.load(error)["error"]) from error


def mixed_batch():
    """Three examples: a word; a black digit; both. What stands for a missing value does not matter."""
    return {
        "digit": np.zeros([3, 28, 28, 1], np.uint8),
        "scene": np.zeros([3, 32, 32, 3], np.uint8),
        "word": ["seven", "", "Zero"],
        "present_digit": np.array([False, True, True]),
        "present_scene": np.array([False, False, False]),
        "present_word": np.array([True, False, True]),
    }


def main(_):
    if not (REST.value or GRPC.value):
        raise app.UsageError("Name a server: --rest=localhost:8501, --grpc=localhost:8500, or both.")
    if REST.value:
        pictures = over_rest(REST.value, MODEL.value, "translate_word_raw", {"word": ["three", "four"]})
        print("REST: a word's digit and scene:", *(np.shape(pictures[n]) for n in ("digit", "scene")))
        batch = mixed_batch()
        rows = [{n: x[row] for n, x in batch.items()} for row in range(3)]
        codes = rows_over_rest(REST.value, MODEL.value, "encode_any_raw", rows)
        print("REST: means of the shared codes:", *(np.shape(row["mean"]) for row in codes))
    if GRPC.value:
        codes = over_grpc(GRPC.value, MODEL.value, "encode_any_raw", mixed_batch())
        print("gRPC: means of the shared codes:", codes["mean"].shape)
        drawn = over_grpc(GRPC.value, MODEL.value, "generate_raw", {"n": np.int32(5), "seed": np.array([0, 1], np.int32)})
        print("gRPC: five words from the prior:", *(word.decode() or "(blank)" for word in drawn["word"]))


if __name__ == "__main__":
    app.run(main)
