"""TensorFlow Lite files of a model's encoders and decoders, for devices.

`encode_X.tflite`: x -> the outputs of the signature `encode_X`. `decode_X.tflite`: codes -> the value of X. Inputs and outputs
have the names of the signatures' (`get_signature_runner("serving_default")`), and batches are of any size. Nothing is checked
inside: a device has no operation that ends a call with a message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import tensorflow as tf

from mmtf.distributions.likelihood import shown_value
from mmtf.errors import UserError
from mmtf.runs import write_atomically
from mmtf.serving.requests import answered, value_spec
from mmtf.serving.signatures import PRIVATE, SHARED, encoder

# Others would need another, larger runtime on the device.
OPERATIONS = (tf.lite.OpsSet.TFLITE_BUILTINS,)


def write_lite(folder: Path, model) -> list[Path]:
    """Write the files of all modalities.

    Raises:
      UserError: the converter does not know an operation of a network.
    """
    written = []
    for name, (function, specs) in parts_of(model).items():
        path = folder / f"{name}.tflite"
        write_atomically(path, convert(name, function, specs, list(model.served_weights().values())))
        written.append(path)
    return written


def convert(name: str, function: Callable[..., Mapping[str, tf.Tensor]], specs, variables=()) -> bytes:
    """A TensorFlow Lite model of one function.

    Raises:
      UserError: it holds an operation that the converter does not know.
    """
    module = tf.Module()
    module.weights = tuple(v.value for v in variables)
    traced = tf.function(function, autograph=False).get_concrete_function(**{spec.name: spec for spec in specs})
    converter = tf.lite.TFLiteConverter.from_concrete_functions([traced], module)
    converter.target_spec.supported_ops = list(OPERATIONS)
    try:
        return converter.convert()
    except Exception as error:  # The converter's own classes of errors are no part of its interface.
        raise UserError(
            f"{name} cannot be converted to TensorFlow Lite: {_reason(error)} Export without --tflite, or give the modality "
            "networks of operations that TensorFlow Lite has."
        ) from error


def parts_of(model) -> dict[str, tuple[Callable, list[tf.TensorSpec]]]:
    """Return the function and the inputs of every file, by its name."""
    parts = {}
    for name, modality in model.modalities.items():
        encode, decode = encoder(model, name), _decoder(model, name)
        parts[f"encode_{name}"] = (lambda encode=encode, **x: encode(x, None)), [value_spec(modality)]
        sizes = {SHARED: model.shared_dim} | ({PRIVATE.format(name): modality.private_dim} if modality.private_dim else {})
        parts[f"decode_{name}"] = decode, [tf.TensorSpec([None, size], name=code) for code, size in sizes.items()]
    return parts


def _decoder(model, name: str):
    def decode(**codes):
        private = {name: codes[PRIVATE.format(name)]} if PRIVATE.format(name) in codes else None
        decoded = model.decode(codes[SHARED], private, to=[name])[name]
        return {name: answered(model.modalities[name], shown_value(model.modalities[name], decoded))}

    return decode


def _reason(error: Exception) -> str:
    """Return the operations that the converter names, or what else it says first."""
    unknown = sorted(set(re.findall(r"'(tf\.\w+)' op", str(error))))
    if unknown:
        return f"it does not have {', '.join(unknown)}."
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return f"{first.rstrip('.')}."
