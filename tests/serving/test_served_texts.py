"""Strings in a graph: the same class indices, and the same refusals, as outside of one."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from mmtf import registry, text
from mmtf.data import celeba, from_arrays
from mmtf.modality import Modality
from mmtf.serving import texts

WORD = Modality("word", (8,), "categorical", num_classes=len(text.ALPHABET), alphabet=text.ALPHABET)
ATTRIBUTES = dataclasses.replace(WORD, name="text", event_shape=(256,))


def encoded(strings, modality=WORD, present=None, fill=" "):
    run = tf.function(lambda s, p: texts.encode(modality, s, p, fill), autograph=False)
    return run(tf.constant(strings, tf.string), None if present is None else tf.constant(present)).numpy()


def test_every_word_of_the_digits_is_encoded_as_the_data_pipeline_does():
    indices, _ = text.digit_word_pool()
    words = text.decode(indices)
    np.testing.assert_array_equal(encoded(words), indices)
    np.testing.assert_array_equal(encoded([w.rstrip() for w in words]), indices)
    decoded = texts.decode(WORD, tf.constant(indices))
    assert [w.decode() for w in decoded.numpy()] == [w.rstrip() for w in words]
    np.testing.assert_array_equal(texts.encode(WORD, decoded, None), indices)
    assert encoded(words).dtype == np.int32


def test_texts_of_attributes_are_encoded_as_the_data_pipeline_does():
    """Of CelebA's forty attributes, drawn with every number of them; filled up with the data set's own character."""
    rng = np.random.default_rng(0)
    names = celeba.readable(celeba.ATTRIBUTES)
    present = rng.uniform(size=(400, 40)) < rng.uniform(size=(400, 1))
    strings = celeba.strings(present, names)
    fill = registry.fills_of("celeba")["text"]
    wanted = text.encode(strings, celeba.LENGTH, fill=celeba.FILL)
    np.testing.assert_array_equal(encoded(strings, ATTRIBUTES, fill=fill), wanted)
    assert [s.decode() for s in texts.decode(ATTRIBUTES, tf.constant(wanted), fill).numpy()] == strings
    assert registry.fills_of("digits") == {}


def test_case_is_treated_as_a_user_s_texts_are():
    strings = np.array(["ONE 1", "Kelvin", "it's-{}", 'a"\\|\n~']).repeat(3)
    data = from_arrays({"text": strings, "x": np.arange(12.0)[:, None] / 7})
    modality = data.modalities[0]
    pool = np.concatenate([data.train.pools["text"][data.train.rows["text"]], data.test.pools["text"][data.test.rows["text"]]])
    found = {tuple(row) for row in encoded(strings, modality)}
    assert found == {tuple(row) for row in pool.astype(np.int32)}
    # The sign for kelvin has a lower case in ASCII, in Python too.
    np.testing.assert_array_equal(encoded(["\u212aelvin"], modality), text.encode(["\u212aelvin".lower()], modality.size))


def test_an_alphabet_of_capitals_and_other_letters_is_taken_as_it_is():
    modality = Modality("x", (4,), "categorical", num_classes=5, alphabet="Aaß€ ")
    np.testing.assert_array_equal(encoded(["aA€ß", "€"], modality), [[1, 0, 3, 2], [3, 4, 4, 4]])
    assert texts.decode(modality, tf.constant([[3, 1, 2, 4]])).numpy()[0].decode() == "€aß"


@pytest.mark.parametrize(
    ("string", "message"),
    [
        ("nine lives", r"word: wanted texts of at most 8 characters, but example 1 has 10"),
        ("fünf", r"word: wanted only the 71 characters of the alphabet .* but example 1 has .*fünf"),
        ("a\x00b", r"word: wanted only the 71 characters of the alphabet"),
        ("€" * 9, r"at most 8 characters, but example 1 has 9"),
        (b"\xff\xfe", "word: wanted UTF-8 texts, but example 1 has .*\ufffd\ufffd"),
        (b"f\xfcnf", "word: wanted UTF-8 texts, but example 1 has .*f\ufffdnf"),
    ],
)
def test_what_the_alphabet_does_not_have_is_refused_where_it_is_present(string, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        encoded(["one", string])
    np.testing.assert_array_equal(encoded(["one", string], present=[True, False]), text.encode(["one", ""], 8))


def test_no_texts_at_all_are_no_error():
    assert encoded([]).shape == (0, 8)
