"""Verbs of a game on batches in which each example has modalities of its own. (Its terms are about whole examples alone.)"""

import adversarial_toys
import pytest
from drawn import FEW, MANY, SIZE, Traced, batches, fillers, of_sets
from hypothesis import given
from hypothesis import strategies as st


@pytest.fixture(scope="module", params=("geometric", "arithmetic", "product"))
def traced(request):
    # The discriminators have no part in the verbs, so one kind stands for all.
    return Traced(adversarial_toys.model("joint", subset_posterior=request.param))


def test_an_example_has_the_posterior_of_the_modalities_that_it_has(traced):
    traced.check_sets(of_sets())


@MANY
@given(batch=batches(), fillers=fillers())
def test_what_fills_the_gaps_changes_no_answer(traced, batch, fillers):
    traced.check_fillers(batch, fillers)


@MANY
@given(batch=batches(), other=batches())
def test_an_example_has_its_answers_in_any_company(traced, batch, other):
    traced.check_company(batch, other)


@FEW
@given(batch=batches(), fillers=fillers(), row=st.integers(0, SIZE - 1))
def test_an_example_in_a_mixed_batch_is_what_it_is_alone(traced, batch, fillers, row):
    traced.check_alone(batch.filled(fillers), row)
