"""The alphabet of [S]'s release, and text to indices and back."""

import numpy as np
import pytest

from mmtf import text


def test_alphabet_has_71_symbols_of_which_only_the_hyphen_occurs_twice():
    assert len(text.ALPHABET) == 71
    assert [c for c in sorted(set(text.ALPHABET)) if text.ALPHABET.count(c) > 1] == ["-"]
    assert text.ALPHABET[:3] + text.ALPHABET[26:29] + text.ALPHABET[-2:] == "abc012 \n"


def test_encode_takes_the_first_hyphen_and_decode_reads_both():
    first, second = (i for i, c in enumerate(text.ALPHABET) if c == "-")
    assert text.encode(["-"], 1).item() == first
    assert text.decode(np.array([[first, second]])) == ["--"]


def test_decode_undoes_encode_for_every_symbol():
    strings = [text.ALPHABET, "two\nlines", "", "a-b+c"]
    indices = text.encode(strings, 80)
    assert indices.dtype == np.int32
    assert text.decode(indices) == [s.ljust(80) for s in strings]


def test_every_character_is_at_its_own_place_in_the_alphabet():
    np.testing.assert_array_equal(text.encode(["a0 z"], 5), [[0, 26, 69, 25, 69]])


def test_fill_stands_behind_the_string():
    assert text.decode(text.encode(["ab"], 4, fill="*")) == ["ab**"]


def test_no_strings_give_no_rows():
    assert text.encode([], 8).shape == (0, 8)


def test_word_pool_holds_every_word_at_every_start_and_nothing_else():
    indices, digits = text.digit_word_pool(8)
    strings = text.decode(indices)
    assert len(strings) == len(set(strings)) == sum(8 - len(w) + 1 for w in text.DIGIT_WORDS) == 50
    assert [s.strip() for s in strings] == [text.DIGIT_WORDS[d] for d in digits]
    for word in text.DIGIT_WORDS:
        starts = sorted(len(s) - len(s.lstrip()) for s in strings if s.strip() == word)
        assert starts == list(range(8 - len(word) + 1))  # the last one too, which the release never draws


@pytest.mark.parametrize("character", ["A", "é", "\t", "\0", "\x7f", "€"])
def test_a_character_outside_the_alphabet_is_named(character):
    with pytest.raises(ValueError, match="not one of the alphabet's 71") as error:
        text.encode(["fine", "b" + character], 4)
    assert repr(character) in str(error.value)


def test_bad_lengths_and_indices_are_refused():
    with pytest.raises(ValueError, match="'seven' has 5 characters; shorten it to 4"):
        text.encode(["six", "seven"], 4)
    with pytest.raises(ValueError, match="length must be 1 or more"):
        text.encode(["six"], 0)
    with pytest.raises(ValueError, match=r"must be in 0\.\.70, but run 0\.\.71"):
        text.decode(np.array([[0, 71]]))
    with pytest.raises(ValueError, match="argmax"):
        text.decode(np.zeros((2, 8, 71), int))
