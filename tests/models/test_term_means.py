"""Running means of terms: over those that have a modality, over batches; and the step of the first that is no number."""

import numpy as np
import tensorflow as tf

from mmtf.models.term_means import TermMeans


def make():
    return TermMeans({"loss": (), "log_likelihood/a": ("a",)})


def test_means_are_over_all_examples_of_all_batches():
    metric = make()
    metric.update_state({"loss": tf.constant([1.0, 2.0]), "log_likelihood/a": tf.constant([1.0, 1.0])}, None, 0)
    metric.update_state({"loss": tf.constant([6.0]), "log_likelihood/a": tf.constant([4.0])}, None, 1)
    found = metric.result()
    np.testing.assert_allclose([found["loss"], found["log_likelihood/a"]], [3.0, 2.0])
    metric.reset_state()
    np.testing.assert_allclose(metric.result()["loss"], 0.0)


def test_a_term_is_averaged_over_the_examples_that_have_its_modality():
    metric, mask = make(), {"a": tf.constant([True, False, True])}
    metric.update_state({"loss": tf.constant([3.0, 3.0, 3.0]), "log_likelihood/a": tf.constant([2.0, 0.0, 4.0])}, mask, 0)
    np.testing.assert_allclose(metric.result()["log_likelihood/a"], 3.0)
    np.testing.assert_allclose(metric.result()["loss"], 3.0)


def test_a_modality_without_a_mask_is_there_everywhere():
    metric, mask = TermMeans({"loss": (), "both": ("a", "b"), "b": ("b",)}), {"a": tf.constant([True, False])}
    terms = {"loss": [1.0, 1.0], "both": [2.0, 0.0], "b": [3.0, 5.0]}
    metric.update_state({name: tf.constant(term) for name, term in terms.items()}, mask, 0)
    assert {name: float(x) for name, x in metric.result().items()} == {"loss": 1.0, "both": 2.0, "b": 4.0}


def test_the_first_step_that_is_no_number_is_kept():
    metric, good = make(), {"loss": tf.constant([1.0]), "log_likelihood/a": tf.constant([1.0])}
    metric.update_state(good, None, 5)
    assert metric.not_finite() == {}
    metric.update_state(good | {"log_likelihood/a": tf.constant([np.nan])}, None, 6)
    metric.update_state(good | {"loss": tf.constant([np.inf]), "log_likelihood/a": tf.constant([np.nan])}, None, 7)
    metric.reset_state()
    assert metric.not_finite() == {"log_likelihood/a": 6, "loss": 7}
