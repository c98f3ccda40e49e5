"""Text as class indices: the alphabet, strings to indices and back, and the digits' words of MNIST-SVHN-Text.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# As in the authors' release of [S], where '-' occurs twice: hence 71 symbols. The second '-' (index 58) is never encoded;
# it stays so that networks and saved weights keep the release's shapes.
ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789-,;.!?:'\"\\/|_@#$%^&*~`+-=<>()[]{} \n"

DIGIT_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def _index_of_code() -> np.ndarray:
    """Return index in the alphabet of each ASCII code, -1 where there is none; [128]. Code 127 (delete) is none."""
    table = np.full(128, -1, np.int32)
    for index, character in reversed(list(enumerate(ALPHABET))):  # reversed: the first '-' wins
        table[ord(character)] = index
    return table


_INDEX_OF_CODE = _index_of_code()
_CHARACTERS = np.array(list(ALPHABET))


def encode(strings: Sequence[str], length: int, fill: str = " ") -> np.ndarray:
    """Return class indices of the characters of each string, filled up at its end.

    Args:
      strings: N strings of at most `length` characters of `ALPHABET`.
      length: number of characters of every encoded string.
      fill: the character behind a shorter string; CelebA's captions in [S] use '*'.

    Returns:
      int32 `[N, length]`, values in 0..70. A '-' is always index 36, its first place in the alphabet.

    Raises:
      ValueError: a string is too long, or holds a character outside the alphabet.
    """
    if length < 1:
        raise ValueError(f"length must be 1 or more, not {length}.")
    too_long = next((s for s in strings if len(s) > length), None)
    if too_long is not None:
        raise ValueError(f"{too_long!r} has {len(too_long)} characters; shorten it to {length}, or raise the length.")
    padded = np.array([s.ljust(length, fill) for s in strings], dtype=f"U{length}")
    codes = padded.view(np.uint32).reshape(len(strings), length)
    indices = _INDEX_OF_CODE[np.minimum(codes, 127)]
    if (indices < 0).any():
        row, column = np.argwhere(indices < 0)[0]
        raise ValueError(
            f"{strings[row]!r} holds {chr(codes[row, column])!r}, which is not one of the alphabet's {len(ALPHABET)} "
            f"symbols (lower case letters, digits, punctuation, space, newline); replace it, for example by lower()."
        )
    return indices


def decode(indices: np.ndarray) -> list[str]:
    """Return strings of class indices `[N, length]`, each with its filling. Both indices of '-' give '-'.

    Raises:
      ValueError: an index is outside 0..70, or the array is not two-dimensional.
    """
    indices = np.asarray(indices)
    if indices.ndim != 2:
        raise ValueError(f"indices must be [N, length], not of shape {indices.shape}; take the argmax of logits first.")
    if indices.size and not (indices.min() >= 0 and indices.max() < len(ALPHABET)):
        raise ValueError(f"indices must be in 0..{len(ALPHABET) - 1}, but run {indices.min()}..{indices.max()}.")
    return ["".join(row) for row in _CHARACTERS[indices]]


def digit_word_pool(length: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Return every English digit word at every start, spaces elsewhere: the text of MNIST-SVHN-Text ([S] 5.2).

    Departure from the release: it never draws the last possible start, here each start occurs once.

    Returns:
      Class indices int32 `[P, length]` and the digit each says, int64 `[P]`; P = 50 for 8 characters.
    """
    words = [(" " * start + word, digit) for digit, word in enumerate(DIGIT_WORDS) for start in range(length - len(word) + 1)]
    strings, digits = zip(*words, strict=True)
    return encode(strings, length), np.array(digits, np.int64)
