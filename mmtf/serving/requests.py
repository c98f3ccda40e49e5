"""Between what a request holds and what a model's verbs take: names, types, checks, and the forms that files have."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import tensorflow as tf

from mmtf.modality import Modality
from mmtf.serving import checks, texts

PRESENT = "present_{}"
# Behind the name of a signature that takes and gives bytes and strings.
RAW = "_raw"


def has_raw(modality: Modality) -> bool:
    """Return whether files have the modality's values in another form: pixels as bytes 0..255, texts as strings."""
    return modality.has_pixels or texts.is_text(modality)


@dataclasses.dataclass(frozen=True)
class Request:
    """The values that a signature takes.

    Attributes:
      modalities: in the model's order.
      masked: whether each has an input `present_<name>`, `[B]` bool, and may be missing.
    """

    modalities: tuple[Modality, ...]
    masked: bool = False

    def specs(self) -> list[tf.TensorSpec]:
        values = [value_spec(m) for m in self.modalities]
        masks = [tf.TensorSpec([None], tf.bool, name=PRESENT.format(m.name)) for m in self.modalities]
        return values + (masks if self.masked else [])

    def read(self, given: Mapping[str, tf.Tensor]) -> tuple[dict, dict | None]:
        """Return checked values and mask, as the verbs take them; zeros where missing."""
        given = checks.after([checks.one_size(given)], dict(given))
        values = {m.name: given[m.name] for m in self.modalities}
        mask = {m.name: given[PRESENT.format(m.name)] for m in self.modalities} if self.masked else None
        if mask:
            values = {n: tf.where(_beside(mask[n], x), x, tf.zeros_like(x)) for n, x in values.items()}
        assertions = [checks.in_range(m, values[m.name]) for m in self.modalities]
        if mask:
            assertions.append(checks.something_there(mask))
        return checks.after(assertions, values), mask


@dataclasses.dataclass(frozen=True)
class RawForm:
    """The forms that files have, of what one signature takes and gives; its other inputs and outputs stay as they are.

    Attributes:
      takes: the values among its inputs. gives: the modalities whose values it answers.
      fills: characters behind shorter texts, by modality, where they are not spaces.
    """

    takes: Request
    gives: tuple[Modality, ...]
    fills: Mapping[str, str]

    def specs(self) -> list[tf.TensorSpec]:
        """Return those of `takes` in the raw form."""
        raw = {m.name: _raw_spec(m) for m in self.takes.modalities}
        return [raw.get(spec.name, spec) for spec in self.takes.specs()]

    def read(self, given: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Return what a plain signature takes."""
        some = {spec.name: given[spec.name] for spec in self.takes.specs()}
        if some:
            # Before a mask is laid on the texts, which would make one text that of all examples.
            some = checks.after([checks.one_size(some)], some)
        return {**given, **some, **{m.name: self._read(m, some) for m in self.takes.modalities}}

    def write(self, answer: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Return the values among what a plain signature answers as bytes and strings."""
        return {**answer, **{m.name: self._written(m, answer[m.name]) for m in self.gives}}

    def _read(self, modality: Modality, given: Mapping[str, tf.Tensor]) -> tf.Tensor:
        x = given[modality.name]
        if texts.is_text(modality):
            return texts.encode(modality, x, given.get(PRESENT.format(modality.name)), self._fill(modality))
        return tf.cast(x, tf.float32) / 255.0 if modality.has_pixels else x

    def _written(self, modality: Modality, x: tf.Tensor) -> tf.Tensor:
        if texts.is_text(modality):
            return texts.decode(modality, x, self._fill(modality))
        return tf.cast(tf.round(255.0 * x), tf.uint8) if modality.has_pixels else x

    def _fill(self, modality: Modality) -> str:
        return self.fills.get(modality.name, " ")


def answered(modality: Modality, x: tf.Tensor) -> tf.Tensor:
    """A value `[B, *event_shape]` as signatures answer it: pixels within 0..1, as they are taken.

    A linear decoder's mean may lie beyond, and could not be sent back.
    """
    return tf.clip_by_value(x, 0.0, 1.0) if modality.has_pixels else x


def value_spec(modality: Modality) -> tf.TensorSpec:
    dtype = tf.int32 if modality.likelihood == "categorical" else tf.float32
    return tf.TensorSpec([None, *modality.event_shape], dtype, name=modality.name)


def _raw_spec(modality: Modality) -> tf.TensorSpec:
    if texts.is_text(modality):
        return tf.TensorSpec([None], tf.string, name=modality.name)
    plain = value_spec(modality)
    return tf.TensorSpec(plain.shape, tf.uint8, name=modality.name) if modality.has_pixels else plain


def _beside(mask: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    return tf.reshape(mask, [-1] + [1] * (x.shape.rank - 1))
