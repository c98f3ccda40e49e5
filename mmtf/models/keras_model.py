"""KerasModel: calling, fitting on plain data, a summary, and `.keras` files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import NamedTuple

import keras
import tensorflow as tf

from mmtf.modality import Modality, check_subset

# Of what `get_config` says; another number is of a version that says it otherwise.
FORMAT = 1


class Batch(NamedTuple):
    """Attributes:
    values: per modality `[B, ...]`, or `[B, phases, ...]` where a training step has several phases.
    mask: per modality `[B]` booleans; None where nothing is missing.
    single: values that are paired with nothing, or None.
    phased: whether values have an axis of phases, as the pipeline makes them for a model that has several.
    """

    values: Mapping[str, tf.Tensor]
    mask: Mapping[str, tf.Tensor] | None = None
    single: Mapping[str, tf.Tensor] | None = None
    phased: bool = False


class KerasModel(keras.Model):
    """A model of modalities with Keras' own verbs. A subclass has `modalities`, `options`, `seed` and `networks`."""

    def __init_subclass__(cls, **kwargs):
        """Tell Keras of the model, under the name of its package, so that `.keras` files find it."""
        super().__init_subclass__(**kwargs)
        keras.saving.register_keras_serializable(cls.__module__.partition(".")[0])(cls)

    # ---- data ------------------------------------------------------------------------------------------------------

    def batch_of(self, data) -> Batch:
        """Return a batch in whatever form `fit` or `predict` was given it.

        Args:
          data: a dict of values by modality; or such a dict and one of masks, as a tuple; or what the pipeline makes,
            `{"values": ..., "mask": ..., "single": ...}`.

        Raises:
          ValueError: none of these, or modalities that are not there.
        """
        # Keras puts what `fit` was given into a tuple of its own.
        if isinstance(data, tuple | list) and len(data) == 1:
            (data,) = data
        values, mask = data if isinstance(data, tuple | list) and len(data) == 2 else (data, None)
        if not isinstance(values, Mapping):
            raise ValueError(
                f"{type(self).__name__} wants a dict of values by modality, or a tuple of such a dict and one of masks, not "
                f"{type(values).__name__}."
            )
        # A modality may be called "values", too.
        if isinstance(values.get("values"), Mapping):
            return Batch(values["values"], values.get("mask"), values.get("single"), phased=True)
        check_subset(values, self.names)
        return Batch(dict(values), mask or None)

    # ---- calling ---------------------------------------------------------------------------------------------------

    def call(self, values: Mapping[str, tf.Tensor], mask: Mapping[str, tf.Tensor] | None = None) -> dict[str, tf.Tensor]:
        """Return what `reconstruct` does of the means of the codes: every given modality, from all of them."""
        return self.reconstruct(values, mask)

    def compute_mask(self, inputs, previous_mask=None):
        """Return None: what is missing among the inputs is there in their reconstructions."""

    def predict_step(self, data):
        """Return `call` of a batch in any form that `fit` takes."""
        batch = self.batch_of(data)
        return self(batch.values, mask=batch.mask)

    # ---- compiling -------------------------------------------------------------------------------------------------

    def compile(
        self,
        optimizer="adam",
        *,
        loss=None,
        loss_weights=None,
        metrics=None,
        weighted_metrics=None,
        compile_gradients: bool = False,
        **kwargs,
    ):
        """As Keras' own, but for losses and metrics, which are the model's own.

        Args:
          optimizer: its iterations count the steps.
          compile_gradients: compile what a training step computes up to its gradients with XLA, and leave the update and the
            report outside, where replicas meet.
          kwargs: `jit_compile`, `steps_per_execution`, `run_eagerly`, and optimizers that `learned` names.

        Raises:
          ValueError: a loss or metrics.
        """
        for name, given in (("loss", loss), ("loss_weights", loss_weights)):
            if given is not None:
                raise ValueError(
                    f"compile({name}=...) does nothing for {type(self).__name__}, whose loss is its objective; weigh its terms "
                    "by the model's options."
                )
        if metrics or weighted_metrics:
            raise ValueError(
                f"compile(metrics=...) does nothing for {type(self).__name__}: Keras would compare one output with one label. "
                "fit reports every term of the objective; mmtf.evaluate measures coherence, probes and sample quality."
            )
        further = {name: kwargs.pop(name, None) for name in self.learned() if name != "optimizer"}
        optimizer = keras.optimizers.get(optimizer)
        super().compile(optimizer=optimizer, **kwargs)
        self.compiles_gradients = compile_gradients
        for name, given in further.items():
            own = optimizer.from_config(optimizer.get_config()) if given is None else keras.optimizers.get(given)
            setattr(self, name, own)
        for name, variables in self.learned().items():
            if not getattr(self, name).built:
                getattr(self, name).build(variables)
        self._compiled_with = kwargs | {"compile_gradients": compile_gradients}

    def get_compile_config(self):
        """Return what `compile_from_config` takes: the optimizers, and how steps are compiled."""
        if not self.compiled:
            return {}
        optimizers = {name: keras.optimizers.serialize(getattr(self, name)) for name in self.learned()}
        return {"optimizers": optimizers, "how": dict(self._compiled_with)}

    def compile_from_config(self, config):
        """Compile as the model was compiled when it was saved."""
        optimizers = {name: keras.optimizers.deserialize(each) for name, each in config["optimizers"].items()}
        self.compile(**optimizers, **config["how"])

    # ---- saving ----------------------------------------------------------------------------------------------------

    def get_config(self):
        """Return everything from which the model is built again, as JSON has it; the weights are not in it."""
        options = dataclasses.asdict(self.options)
        # The name stands in the table of models, and each modality has its own private size.
        del options["model"], options["private_dim"]
        networks = {
            part: {name: keras.saving.serialize_keras_object(network) for name, network in each.items()}
            for part, each in self.networks.items()
        }
        modalities = [dataclasses.asdict(m) for m in self.modalities.values()]
        about = {"mmtf_format": FORMAT, "modalities": modalities, "networks": networks, "options": options}
        return about | {"seed": self.seed, "name": self.name} | self.build_arguments()

    def build_arguments(self) -> dict:
        """Return further arguments of the constructor, plain values."""
        return {}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Return the model that `get_config` describes, with fresh weights.

        Raises:
          ValueError: the file is of another version of mmtf.
        """
        config = dict(config)
        if config.pop("mmtf_format", None) != FORMAT:
            raise ValueError(
                f"Another version of mmtf wrote this .keras file of a {cls.__name__}, in a format other than {FORMAT}. Load it "
                "with that version, or train again. Every later version reads run directories and exports."
            )
        networks = {
            part: {name: keras.saving.deserialize_keras_object(each, custom_objects) for name, each in networks.items()}
            for part, networks in config.pop("networks").items()
        }
        modalities = [Modality.from_json(m) for m in config.pop("modalities")]
        return cls(modalities, **networks, **config.pop("options"), **config)

    # ---- showing ---------------------------------------------------------------------------------------------------

    def summary(self, line_length=None, print_fn: Callable[[str], None] | None = None, expand_nested=False):
        """Print the model's networks, what goes in and comes out of each, and their parameters.

        Args:
          line_length: by default as wide as the table needs.
          print_fn: called with each line; by default `print`.
          expand_nested: print every network's own summary below.
        """
        show = print_fn or print
        rows = [("network", "in", "out", "parameters"), *self._rows()]
        widths = [max(len(row[k]) for row in rows) for k in range(4)]
        line = "-" * max(sum(widths) + 6, line_length or 0)
        total = sum(int(keras.ops.size(v)) for v in self.trainable_variables)
        kind = f"{type(self).__name__} {self.name!r}: {', '.join(self.names)}; shared code {self.shared_dim}"
        private = [f"{m.name} {m.private_dim}" for m in self.modalities.values() if m.private_dim]
        show(kind + (f", private codes {', '.join(private)}" if private else ""))
        show(line)
        for row in rows:
            *left, last = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            show("  ".join([*left, last.strip().rjust(widths[3])]))
        show(line)
        show(f"Trainable parameters, heads included: {total:,}")
        if expand_nested:
            for part, each in self.networks.items():
                for name, network in each.items():
                    show(f"{part} {name}")
                    if hasattr(network, "summary"):
                        network.summary(line_length=line_length, print_fn=print_fn)

    def _rows(self) -> list[tuple[str, str, str, str]]:
        rows = []
        for part, each in self.networks.items():
            for name, network in each.items():
                shapes = (_shown(network, "input_shape"), _shown(network, "output_shape"))
                rows.append((f"{part} {name}", *shapes, f"{network.count_params():,}"))
        return rows


def _shown(network, attribute: str) -> str:
    shape = getattr(network, attribute, None)
    return "" if shape is None else str(tuple(shape[1:]))
