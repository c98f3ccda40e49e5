"""Rule: a name that will fail later fails first. At every door where modalities get their names."""

import keyword

import numpy as np
import pandas as pd
import pytest
import toys
from hypothesis import given
from hypothesis import strategies as st

import mmtf
from mmtf.data.arrays import array_files
from mmtf.errors import UserError
from mmtf.modality import RESERVED, Modality, check_names
from mmtf.serving.signatures import verbs_of

BAD = [
    (("größe", "b"), "must be a letter, then letters, digits and underscores"),
    (("_x", "b"), "must be a letter"),
    (("two words", "b"), "must be a letter"),
    (("9", "b"), "must be a letter"),
    (("", "b"), "must be a letter"),
    (("class", "b"), "'class', which is a word of Python; rename it, to 'class_values' for example"),
    (("None", "b"), "a word of Python"),
    (("any", "b"), "what a served model calls something else"),
    (("n", "b"), "what a served model calls something else"),
    (("b", "present_b"), "'b' and 'present_b' cannot stand together"),
    (("b", "b_raw"), "'b' and 'b_raw' cannot stand together"),
]


@pytest.mark.parametrize(("names", "message"), BAD)
def test_names_that_would_fail_later_are_refused_at_every_door(tmp_path, names, message):
    values = {name: np.zeros((20, 2)) for name in names}
    with pytest.raises(UserError, match=message):
        mmtf.from_arrays(values)
    table = pd.DataFrame({"one": np.zeros(20), "two": np.ones(20)})
    with pytest.raises(UserError, match=message):
        mmtf.from_dataframe(table, {names[0]: ["one"], names[1]: ["two"]})
    if all(names):
        for name, array in values.items():
            np.save(tmp_path / f"{name}.npy", array)
        with pytest.raises(UserError, match=message):
            array_files.read(tmp_path)


@pytest.mark.parametrize("name", ["größe", "_x", "a-b", "a.b", "a/b", "", "1a", 5])
def test_no_modality_has_a_name_that_networks_cannot_have(name):
    with pytest.raises(ValueError, match="must be a letter"):
        Modality(name, (2,), "normal")


@given(st.sampled_from([*keyword.kwlist, *RESERVED]))
def test_reserved_words_are_refused(name):
    with pytest.raises(ValueError, match="cannot be called"):
        check_names((name, "b"))


@given(st.lists(st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,5}", fullmatch=True), min_size=2, max_size=3, unique=True))
def test_names_that_pass_can_be_served(names):
    """What a served model calls its signatures and their inputs is made of them, and none stands twice."""
    try:
        check_names(names)
    except ValueError:
        return
    model = Named(tuple(names))
    verbs_of(model)


class Named:
    """What `verbs_of` asks of a model before anything is traced."""

    shared_dim = 2

    def __init__(self, names):
        self.names = names
        self.modalities = {name: Modality(name, (2,), "normal", private_dim=1) for name in names}

    def has_likelihood(self):
        return True


def test_values_of_every_kind_have_names_that_pass():
    check_names([m.name for m in toys.modalities()])
