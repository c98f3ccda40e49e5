"""Verbs of a game on batches in which each example has modalities of its own. (Its terms are about whole examples alone.)"""

import functools

import games
import pytest
from drawn import FEW, MANY, SIZE, Traced, batches, fillers
from hypothesis import given
from hypothesis import strategies as st

from mmtf.gan.model import POSTERIORS


@functools.cache
def traced(posterior):
    # The discriminators have no part in the verbs, so one kind stands for all.
    return Traced(games.model(subset_posterior=posterior))


@pytest.mark.parametrize("posterior", POSTERIORS)
@MANY
@given(batches(), fillers())
def test_what_fills_the_gaps_changes_no_answer(posterior, batch, fillers):
    traced(posterior).check_fillers(batch, fillers)


@pytest.mark.parametrize("posterior", POSTERIORS)
@MANY
@given(batches(), batches())
def test_an_example_has_its_answers_in_any_company(posterior, batch, other):
    traced(posterior).check_company(batch, other)


@pytest.mark.parametrize("posterior", POSTERIORS)
@FEW
@given(batches(), fillers(), st.integers(0, SIZE - 1))
def test_an_example_in_a_mixed_batch_is_what_it_is_alone(posterior, batch, fillers, row):
    traced(posterior).check_alone(batch.filled(fillers), row)
