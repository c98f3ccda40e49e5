"""Requests that TensorFlow Serving runs when it loads a model, so that a user's first one does not wait for what is made late.

One for each signature, as PredictionLog records of a TFRecord file, in
`assets.extra/tf_serving_warmup_requests` (https://www.tensorflow.org/tfx/serving/saved_model_warmup).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_log_pb2

from mmtf.serving.signatures import CANDIDATES, QUERIES, Concrete

FILE = "tf_serving_warmup_requests"
# Of the model in requests; a server warms up the version that it loads, whatever it calls it.
MODEL = "mmtf"


def write_warmup(path: Path, signatures: Mapping[str, Concrete]) -> None:
    """Write the file: a request of one example, or sample, for each signature."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for name, function in signatures.items():
            call = prediction_log_pb2.PredictLog(request=request(MODEL, name, example(function)))
            writer.write(prediction_log_pb2.PredictionLog(predict_log=call).SerializeToString())


def request(model: str, signature: str, inputs: Mapping[str, tf.Tensor]) -> predict_pb2.PredictRequest:
    """A request to a signature, as the gRPC form of TensorFlow Serving has it."""
    spec = model_pb2.ModelSpec(name=model, signature_name=signature)
    return predict_pb2.PredictRequest(model_spec=spec, inputs={n: tf.make_tensor_proto(x) for n, x in inputs.items()})


def example(function: Concrete, size: int = 1) -> dict[str, tf.Tensor]:
    """Return inputs that pass the checks: `size` black images, texts and codes of 0, all of them present; one sample."""
    return {name: _value(name, spec, size) for name, spec in function.structured_input_signature[1].items()}


def _value(name: str, spec: tf.TensorSpec, size: int) -> tf.Tensor:
    shape = [size if d is None else d for d in spec.shape]
    if spec.dtype == tf.string:
        return tf.fill(shape, "")
    # A standard deviation is above 0, and so is a number of samples.
    ones = spec.dtype == tf.bool or name in ("n", QUERIES, CANDIDATES)
    return tf.cast(tf.fill(shape, int(ones)), spec.dtype)
