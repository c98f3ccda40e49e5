"""The fused head does what four separate last layers would do, and starts as they would."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from mmtf.networks.heads import GaussianHead

FEATURES = 400


def built(shared, private=0, seed=0, **options):
    head = GaussianHead(shared, private, seed=seed, **options)
    head.build((None, FEATURES))
    return head


def test_parameter_count_is_that_of_the_tables_two_or_four_last_layers():
    assert built(20).count_params() == 2 * (400 * 20 + 20)
    assert built(16, 4).count_params() == 2 * (400 * 16 + 16) + 2 * (400 * 4 + 4)


def test_outputs_are_those_of_four_separate_dense_layers():
    head = built(16, 4)
    head.bias.assign(np.random.default_rng(0).normal(size=40))
    x = np.random.default_rng(1).normal(size=(5, FEATURES)).astype(np.float32)
    edges = [0, 16, 32, 36, 40]
    for found, start, stop in zip(head(x), edges[:-1], edges[1:], strict=True):
        separate = keras.layers.Dense(stop - start)
        separate.build((None, FEATURES))
        separate.set_weights([head.kernel.numpy()[:, start:stop], head.bias.numpy()[start:stop]])
        np.testing.assert_allclose(found, separate(x), atol=1e-5)


def test_each_part_starts_as_a_glorot_layer_of_its_own_width():
    kernel = built(16, 4).kernel.numpy()
    for start, width in ((0, 16), (16, 16), (32, 4), (36, 4)):
        part, limit = kernel[:, start : start + width].ravel(), np.sqrt(6 / (FEATURES + width))
        assert stats.kstest(part, stats.uniform(-limit, 2 * limit).cdf).pvalue > 0.01
        assert 0.995 * limit < np.abs(part).max() <= limit
        # The limit that Keras takes from the fused matrix would be smaller by more than that.
        assert np.sqrt(6 / (FEATURES + 40)) < 0.98 * limit


def test_parts_start_independent_of_each_other_and_follow_the_seed():
    kernel = built(16, 4).kernel.numpy()
    for a, b in ((kernel[:, :16], kernel[:, 16:32]), (kernel[:, 32:36], kernel[:, 36:]), (kernel[:, :4], kernel[:, 32:36])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4 / np.sqrt(a.size)
    np.testing.assert_array_equal(kernel, built(16, 4).kernel)
    assert not np.allclose(kernel, built(16, 4, seed=1).kernel)


def test_without_private_code_its_parts_have_no_width():
    outputs = built(20)(tf.zeros((5, FEATURES)))
    assert [tuple(y.shape) for y in outputs] == [(5, 20), (5, 20), (5, 0), (5, 0)]


def test_outputs_are_float32_even_under_mixed_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        outputs = built(16, 4)(tf.ones((5, FEATURES), tf.bfloat16))
    finally:
        keras.config.set_dtype_policy(before)
    assert {y.dtype for y in outputs} == {tf.float32}


def test_it_works_symbolically_and_from_its_config():
    head = GaussianHead.from_config(built(16, 4, seed=3).get_config())
    features = keras.Input((FEATURES,))
    model = keras.Model(features, head(features))
    assert [shape[-1] for shape in model.output_shape] == [16, 16, 4, 4]
    np.testing.assert_array_equal(head.kernel, built(16, 4, seed=3).kernel)


def test_saved_weights_restore_the_outputs(tmp_path):
    x = np.random.default_rng(1).normal(size=(5, FEATURES)).astype(np.float32)
    first, second = (keras.Sequential([keras.Input((FEATURES,)), GaussianHead(3, 2, seed=seed)]) for seed in (0, 1))
    first.save_weights(tmp_path / "head.weights.h5")
    second.load_weights(tmp_path / "head.weights.h5")
    for a, b in zip(first(x), second(x), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("sizes", "message"), [((0, 4), "shared_dim must be 1"), ((16, -1), "private_dim must be 0")])
def test_impossible_sizes_are_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        GaussianHead(*sizes)


def test_log_variances_stay_above_the_floor_and_are_themselves_far_above_it():
    head = built(1, 1, floor=-9.0)
    head.kernel.assign(np.zeros((FEATURES, 4)))
    x = np.zeros((1, FEATURES), np.float32)
    for number, wanted in ((0.0, 0.0), (-9.0, -9.0 + np.log(2.0)), (-1e4, -9.0)):
        head.bias.assign([3.0, number, -20.0, number])
        np.testing.assert_allclose(np.concatenate(head(x), -1)[0], [3.0, wanted, -20.0, wanted], atol=2e-4)
