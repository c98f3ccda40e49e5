"""A SavedModel behind the interfaces of TensorFlow Serving, REST and gRPC, as its documentation has them.

REST: https://www.tensorflow.org/tfx/serving/api_rest. Only what `predict` needs: row and column format, base64, versions,
errors. gRPC: PredictionService.Predict of tensorflow-serving-api.
"""

import base64
import concurrent.futures
import contextlib
import http.server
import json
import re
import threading
from pathlib import Path

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

PATH = re.compile(r"/v1/models/(?P<model>[^/:]+)(/versions/(?P<version>\d+))?:predict")


class Model:
    """The versions under a folder, each loaded when it is first asked for, unless it was loaded before."""

    def __init__(self, folder, name, loaded):
        self.folder, self.name, self._loaded = Path(folder), name, dict(loaded)

    def signature(self, model, version, signature):
        """Raises KeyError of what there is not."""
        versions = sorted(int(p.name) for p in self.folder.iterdir() if p.name.isdigit())
        version = versions[-1] if version is None else int(version)
        if model != self.name or version not in versions:
            raise KeyError(f"Servable not found for request: Specific({model}, {version})")
        if version not in self._loaded:
            self._loaded[version] = tf.saved_model.load(str(self.folder / str(version)))
        return self._loaded[version].signatures[signature or "serving_default"]


def specs_of(function):
    return function.structured_input_signature[1]


def decoded(value, spec):
    """A JSON value as a tensor of the type wanted. Raises ValueError as the server's conversion does."""

    def leaf(x):
        if isinstance(x, list):
            return [leaf(y) for y in x]
        if spec.dtype == tf.string:
            if isinstance(x, dict) and list(x) == ["b64"]:
                return base64.b64decode(x["b64"], validate=True)
            ok = isinstance(x, str)
        elif spec.dtype == tf.bool:
            ok = isinstance(x, bool)
        else:
            ok = isinstance(x, int) or (isinstance(x, float) and spec.dtype.is_floating)
            ok = ok and not isinstance(x, bool)
        if not ok:
            raise ValueError(f"JSON Value: {json.dumps(x)} is not of expected type: {spec.dtype.name}")
        return x

    return tf.constant(leaf(value), spec.dtype)


def inputs_of(body, specs):
    """Tensors by name, and whether they came as rows."""
    if ("instances" in body) == ("inputs" in body):
        raise ValueError("JSON must have either 'instances' or 'inputs'")
    if "inputs" in body:
        given = body["inputs"] if isinstance(body["inputs"], dict) else {next(iter(specs)): body["inputs"]}
        _check_names(given, specs)
        return {n: decoded(x, specs[n]) for n, x in given.items()}, False
    rows = body["instances"]
    if not isinstance(rows, list) or not rows:
        raise ValueError("'instances' must be a list of at least one value")
    named = [isinstance(row, dict) and list(row) != ["b64"] for row in rows]
    if not all(named):
        if any(named) or len(specs) > 1:
            raise ValueError("wanted an object with named inputs for each instance")
        rows = [{next(iter(specs)): row} for row in rows]
    for row in rows:
        _check_names(row, specs)
    return {n: decoded([row[n] for row in rows], spec) for n, spec in specs.items()}, True


def _check_names(given, specs):
    if set(given) != set(specs):
        raise ValueError(f"input names {sorted(given)} are not those of the signature: {sorted(specs)}")


def encoded(name, x):
    """An output as JSON."""
    if x.dtype == object:
        as_text = (lambda b: {"b64": base64.b64encode(b).decode()}) if name.endswith("_bytes") else bytes.decode
        return [as_text(b) for b in x.ravel()] if x.ndim else as_text(x.item())
    return x.tolist()


def answer_of(outputs, rows):
    found = {n: encoded(n, x.numpy()) for n, x in outputs.items()}
    single = next(iter(found.values())) if len(found) == 1 else None
    if not rows:
        return {"outputs": found if single is None else single}
    sizes = {np.shape(x)[:1] for x in outputs.values()}
    if len(sizes) != 1 or sizes == {()}:
        raise ValueError("Tensor names and their batch sizes differ: outputs cannot be written as rows")
    if single is not None:
        return {"predictions": single}
    return {"predictions": [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)]}


def rest_handler(model):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            status, answer = self._answer()
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _answer(self):
            asked = PATH.fullmatch(self.path)
            if not asked:
                return 404, {"error": f"Malformed request: POST {self.path}"}
            try:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                function = model.signature(asked["model"], asked["version"], body.get("signature_name"))
                inputs, rows = inputs_of(body, specs_of(function))
                return 200, answer_of(function(**inputs), rows)
            except KeyError as error:
                return 404, {"error": str(error.args[0])}
            except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
                return 400, {"error": str(error)}

        def log_message(self, *_):
            pass

    return Handler


class Servicer(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, model):
        self._model = model

    def Predict(self, request, context):  # noqa: N802
        spec = request.model_spec
        version = spec.version.value if spec.HasField("version") else None
        try:
            function = self._model.signature(spec.name, version, spec.signature_name)
            outputs = function(**{n: tf.constant(tf.make_ndarray(x)) for n, x in request.inputs.items()})
        except KeyError as error:
            context.abort(grpc.StatusCode.NOT_FOUND, str(error.args[0]))
        except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        response = predict_pb2.PredictResponse()
        response.model_spec.CopyFrom(spec)
        for name, x in outputs.items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(x))
        return response


@contextlib.contextmanager
def serving(folder, loaded=(), name="mmtf"):
    """Serves the versions under a folder on free ports: yields the hosts of REST and gRPC. loaded: models by version."""
    model = Model(folder, name, loaded)
    rest = http.server.ThreadingHTTPServer(("localhost", 0), rest_handler(model))
    thread = threading.Thread(target=rest.serve_forever, daemon=True)
    # TensorFlow Serving takes messages of any size.
    rpc = grpc.server(concurrent.futures.ThreadPoolExecutor(2), options=[("grpc.max_receive_message_length", -1)])
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Servicer(model), rpc)
    port = rpc.add_insecure_port("localhost:0")
    thread.start()
    rpc.start()
    try:
        yield f"localhost:{rest.server_address[1]}", f"localhost:{port}"
    finally:
        rest.shutdown()
        rest.server_close()
        rpc.stop(None).wait()
        thread.join()
