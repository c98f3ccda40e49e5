"""Text in a graph: strings to class indices and back, as `mmtf.text` does outside of one."""

from __future__ import annotations

import functools
import sys

import tensorflow as tf

from mmtf.modality import Modality
from mmtf.serving import checks


def is_text(modality: Modality) -> bool:
    """Return whether a value is one line of characters."""
    return modality.alphabet is not None and len(modality.event_shape) == 1


def encode(modality: Modality, strings: tf.Tensor, present: tf.Tensor | None, fill: str = " ") -> tf.Tensor:
    """Return class indices int32 `[B, length]` of UTF-8 strings `[B]`, filled up at their ends.

    In lower case, where the alphabet has no other, as `mmtf.data.arrays.inference` turns a user's texts. Of a character that
    occurs twice in the alphabet, such as '-', the first place.

    Args:
      present: `[B]` bool; what stands where it is False may be anything, even bytes that are no UTF-8. None: all are there.

    Raises (when the graph is run):
      InvalidArgumentError: a string that is no UTF-8, is too long, or holds a character outside the alphabet.
    """
    length = modality.event_shape[0]
    if present is not None:
        strings = tf.where(present, strings, "")
    # What is shown of a wrong one has to be UTF-8 itself: Python cannot read another message.
    readable = tf.strings.unicode_transcode(strings, "UTF-8", "UTF-8", errors="replace")
    strings = checks.after([checks.each(modality.name, readable == strings, "UTF-8 texts", readable)], readable)
    sizes = tf.strings.length(strings, unit="UTF8_CHAR")
    short = checks.each(modality.name, sizes <= length, f"texts of at most {length} characters", sizes)
    filled = checks.after([short], strings) + tf.fill([tf.shape(strings)[0]], fill * length)
    codes = tf.strings.unicode_decode(filled, "UTF-8")[:, :length].to_tensor(shape=[None, length])
    indices, known = _looked_up(modality.alphabet, codes)
    wanted = f"only the {len(modality.alphabet)} characters of the alphabet (assets.extra/mmtf.json lists them)"
    return checks.after([checks.each(modality.name, tf.reduce_all(known, axis=1), wanted, strings)], indices)


def decode(modality: Modality, indices: tf.Tensor, fill: str = " ") -> tf.Tensor:
    """Return strings `[B]` of class indices `[B, length]`, without the filling at their ends."""
    characters = tf.gather(tf.constant(list(modality.alphabet)), indices)
    # By its code: no character then means something else in a regular expression.
    return tf.strings.regex_replace(tf.strings.reduce_join(characters, axis=-1), rf"\x{{{ord(fill):x}}}+$", "")


def _looked_up(alphabet: str, codes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return index of each code point `[B, length]` in the alphabet, and whether it is there."""
    points, indices = (tf.constant(x, tf.int32) for x in zip(*_table(alphabet), strict=True))
    # With one more, since nothing cannot be searched for.
    flat = tf.concat([tf.reshape(codes, [-1]), [0]], axis=0)
    place = tf.reshape(tf.minimum(tf.searchsorted(points, flat), tf.size(points) - 1)[:-1], tf.shape(codes))
    return tf.ensure_shape(tf.gather(indices, place), [None, codes.shape[1]]), tf.gather(points, place) == codes


@functools.cache
def _table(alphabet: str) -> list[tuple[int, int]]:
    """Return code points in ascending order with their index in the alphabet; capitals have that of their lower case.

    Not `tf.strings.lower`: it ends a string at a character of code 0.
    """
    first = {c: index for index, c in reversed(list(enumerate(alphabet)))}
    lower = alphabet == alphabet.lower()
    points = ((point, chr(point).lower() if lower else chr(point)) for point in range(sys.maxunicode + 1))
    return [(point, first[c]) for point, c in points if c in first]
