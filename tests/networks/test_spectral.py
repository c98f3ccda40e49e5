"""Spectral normalisation by its definition: the largest singular value, and a gradient that goes through it."""

import numpy as np
import pytest
import tensorflow as tf
from oracles import finite_difference

from mmtf.distributed import replicas
from mmtf.networks.discriminators import TowersDiscriminator, dense
from mmtf.networks.layers import normal
from mmtf.networks.spectral import SpectralDense, SpectralHalving, bind_all, built


def largest(kernel):
    matrix = np.asarray(kernel, np.float64)
    return np.linalg.svd(matrix.reshape(-1, matrix.shape[-1]), compute_uv=False)[0]


@pytest.fixture(
    params=[(SpectralDense, (7,)), (SpectralHalving, (8, 6, 3)), (SpectralHalving, (9, 4))], ids=["dense", "image", "text"]
)
def layer(request):
    kind, shape = request.param
    found = kind(5, kernel_initializer=next(normal(1, 0.3)))
    found.build((None, *shape))
    return found


def test_power_iteration_finds_the_largest_singular_value(layer):
    for _ in range(200):
        normalised = layer.normalised(advance=True)
    np.testing.assert_allclose(largest(normalised), 1.0, rtol=1e-4)
    np.testing.assert_allclose(normalised * largest(layer.kernel), layer.kernel, rtol=1e-3, atol=1e-6)


def test_a_kernel_that_is_trained_stays_near_1_with_one_iteration_a_step(layer):
    for _ in range(200):
        layer.normalised(advance=True)
    rng = np.random.default_rng(0)
    for _ in range(50):
        layer.kernel.assign_add(rng.normal(size=layer.kernel.shape) * 0.01)
        found = largest(layer.normalised(advance=True))
        assert 0.97 < found < 1.05


def test_only_a_step_moves_the_direction_and_nothing_moves_the_kernel(layer):
    kernel, direction = np.asarray(layer.kernel), np.asarray(layer.direction)
    layer.normalised(advance=False)
    np.testing.assert_array_equal(layer.direction, direction)
    layer.normalised(advance=True)
    assert not np.array_equal(layer.direction, direction)
    np.testing.assert_array_equal(layer.kernel, kernel)
    assert [v.name for v in layer.trainable_variables] == ["kernel", "bias"]


def test_xla_makes_the_same_iteration(layer):
    """As inside of a step on several accelerators, where the new direction waits for the end of what is compiled."""
    right = np.asarray(layer.direction)
    plain = [np.asarray(layer.normalised(advance=True)), np.asarray(layer.direction)]
    layer.direction.assign(right)
    found = replicas.compiled(lambda: layer.normalised(advance=True))
    np.testing.assert_allclose(found, plain[0], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(layer.direction, plain[1], rtol=1e-4, atol=1e-6)
    assert not np.allclose(right, plain[1], atol=1e-3)


def test_a_kernel_of_zeros_stays_one():
    layer = SpectralDense(3, kernel_initializer="zeros")
    layer.build((None, 4))
    np.testing.assert_array_equal(layer.normalised(advance=True), np.zeros((4, 3)))


def test_the_gradient_goes_through_the_singular_value():
    """Of the output as a function of the kernel, the singular vectors being constants [Miyato 2018]."""
    layer = SpectralDense(3)
    layer.build((None, 4))
    x = np.random.default_rng(2).normal(size=(5, 4)).astype(np.float32)
    right = np.asarray(layer.direction, np.float64)
    left = np.asarray(layer.kernel, np.float64) @ right
    left /= np.linalg.norm(left)

    def output(kernel):
        return np.sum(np.sin(x @ kernel / (left @ kernel @ right)))

    kernel = np.asarray(layer.kernel)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(tf.sin(layer(x)))
    gradient = tape.gradient(total, layer.kernel.value)
    np.testing.assert_allclose(total, output(kernel), rtol=1e-4)
    np.testing.assert_allclose(
        gradient, finite_difference(lambda k: output(k.astype(np.float64)), kernel), rtol=1e-2, atol=1e-3
    )
    # Along the kernel itself nothing changes: its length is divided out.
    np.testing.assert_allclose(np.sum(gradient * kernel), 0.0, atol=1e-4)


def test_a_layer_is_a_linear_map_with_its_bias(layer):
    layer.bias.assign(np.arange(5.0))
    shape = {2: (7,), 4: (8, 6, 3), 3: (9, 4)}[len(layer.kernel.shape)]
    x = np.random.default_rng(3).normal(size=(2, *shape)).astype(np.float32)
    y = layer.bind(advance=False)(x)
    assert y.shape == layer.compute_output_shape(x.shape)
    np.testing.assert_allclose(layer(np.zeros_like(x))[0] * 0 + np.arange(5.0), layer(np.zeros_like(x))[0])
    np.testing.assert_allclose(layer(2 * x) - np.arange(5.0), 2 * (y - np.arange(5.0)), rtol=1e-4, atol=1e-5)


def test_a_chain_has_leaky_relus_between_its_layers():
    layers, shape = built(dense((4, 3), normal(0, 1.0)), (5,))
    assert shape == (3,)
    x = np.random.default_rng(4).normal(size=(6, 5)).astype(np.float32)
    first = np.asarray(layers[0](x))
    last = np.asarray(layers[1](np.where(first > 0, first, 0.2 * first)))
    np.testing.assert_allclose(bind_all(layers, False, last_linear=True)(x), last, rtol=1e-5)
    np.testing.assert_allclose(bind_all(layers, False)(x), np.where(last > 0, last, 0.2 * last), rtol=1e-5)


def test_an_inner_product_critic_multiplies_the_towers_last_layers():
    towers = {"a": dense((4, 3), normal(0, 1.0)), "b": dense((3,), normal(1, 1.0))}
    discriminator = TowersDiscriminator(towers, None, value_shapes={"a": (2,), "b": (5,)}).bind(False)
    rng = np.random.default_rng(5)
    x = {"a": rng.normal(size=(6, 2)).astype(np.float32), "b": rng.normal(size=(6, 5)).astype(np.float32)}
    h = {name: discriminator.features(name, value) for name, value in x.items()}
    np.testing.assert_allclose(discriminator.score(h)[:, 0], np.sum(np.asarray(h["a"]) * h["b"], -1), rtol=1e-5)
    np.testing.assert_allclose(h["b"], towers["b"][0](x["b"]), rtol=1e-5)


def test_of_more_than_two_modalities_it_sums_the_products_of_all_pairs():
    rng = np.random.default_rng(6)
    discriminator = TowersDiscriminator(
        {n: dense((3,), normal(k, 1.0)) for k, n in enumerate("abc")}, None, value_shapes=dict.fromkeys("abc", (4,))
    ).bind(False)
    h = {n: np.asarray(discriminator.features(n, rng.normal(size=(6, 4)).astype(np.float32))) for n in "abc"}
    wanted = sum((h[a] * h[b]).sum(-1) for a, b in ("ab", "ac", "bc"))
    np.testing.assert_allclose(discriminator.score(h)[:, 0], wanted, rtol=1e-5)


@pytest.mark.parametrize(("widths", "codes", "problem"), [((2, 2), 2, "codes need a trunk"), ((2, 3), 0, r"\[2, 3\]")])
def test_inner_products_that_cannot_be_are_refused(widths, codes, problem):
    towers = {n: dense((width,), normal(0, 1.0)) for n, width in zip("ab", widths, strict=True)}
    with pytest.raises(ValueError, match=problem):
        TowersDiscriminator(towers, None, value_shapes=dict.fromkeys("ab", (2,)), code_dim=codes)
