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
    """Whether files have the modality's values in another form: pixels as bytes 0..255, texts as strings."""
    return checks.is_image(modality) or texts.is_text(modality)


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
        """Checked values and mask, as the verbs take them; zeros where missing."""
        given = checks.after([checks.one_size(given)], dict(given))
        values = {m.name: given[m.name] for m in self.modalities}
        mask = {m.name: given[PRESENT.format(m.name)] for m in self.modalities} if self.masked else None
        if mask:
            values = {n: tf.where(_beside(mask[n], x), x, tf.zeros_like(x)) for n, x in values.items()}
        found = [checks.in_range(m, values[m.name]) for m in self.modalities]
        if mask:
            found.append(checks.something_there(mask))
        return checks.after(found, values), mask


@dataclasses.dataclass(frozen=True)
class RawForm:
    """The forms that files have, of all modalities of a model.

    Attributes:
      modalities: by name. fills: characters behind shorter texts, where they are not spaces.
    """

    modalities: Mapping[str, Modality]
    fills: Mapping[str, str]

    def spec(self, spec: tf.TensorSpec) -> tf.TensorSpec:
        """That of an input in its raw form; the same of what has none."""
        modality = self.modalities.get(spec.name)
        if modality is None or not has_raw(modality):
            return spec
        if texts.is_text(modality):
            return tf.TensorSpec([None], tf.string, name=spec.name)
        return tf.TensorSpec(spec.shape, tf.uint8, name=spec.name)

    def read(self, given: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """What a plain signature takes."""
        found = dict(given)
        for name, x in given.items():
            if x.dtype == tf.uint8:
                found[name] = tf.cast(x, tf.float32) / 255.0
            elif x.dtype == tf.string:
                fill, present = self.fills.get(name, " "), given.get(PRESENT.format(name))
                found[name] = texts.encode(self.modalities[name], x, present, fill)
        return found

    def write(self, answer: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The values among what a plain signature answers as bytes and strings."""
        return {n: self._written(n, x) if n in self.modalities else x for n, x in answer.items()}

    def _written(self, name: str, x: tf.Tensor) -> tf.Tensor:
        modality = self.modalities[name]
        if texts.is_text(modality):
            return texts.decode(modality, x, self.fills.get(name, " "))
        if checks.is_image(modality):
            return tf.cast(tf.round(255.0 * tf.clip_by_value(x, 0.0, 1.0)), tf.uint8)
        return x


def value_spec(modality: Modality) -> tf.TensorSpec:
    dtype = tf.int32 if modality.likelihood == "categorical" else tf.float32
    return tf.TensorSpec([None, *modality.event_shape], dtype, name=modality.name)


def _beside(mask: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    return tf.reshape(mask, [-1] + [1] * (x.shape.rank - 1))
