"""What the benchmark counts, against sums by hand, and how it reads growth."""

import comparisons
import floor
import numpy as np
import pytest
import scaling
import tensorflow as tf

from mmtf.errors import UserError

# Of one modality of the scaling law: matrices of its encoder, head (means and log-variances) and decoder.
FIRST = scaling.WIDTH * 512
MATRICES = FIRST + 512 * 512 + 512 * 2 * 32 + 32 * 512 + 512 * 512 + 512 * scaling.WIDTH


def test_products_of_a_graph_are_counted_as_multiplications_and_additions():
    kernel = tf.Variable(tf.ones([7, 5]))

    @tf.function
    def gradient(x, image):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.matmul(x, kernel) ** 2) + tf.reduce_sum(
                tf.nn.conv2d(image, tf.ones([4, 4, 3, 8]), 2, "SAME")
            )
        return tape.gradient(loss, kernel)

    graph = gradient.get_concrete_function(tf.TensorSpec([11, 7]), tf.TensorSpec([2, 6, 6, 3])).graph
    assert floor.graph_products(graph) == 2 * (2 * 11 * 7 * 5) + 2 * (2 * 3 * 3 * 8) * (4 * 4 * 3)


def test_a_step_of_mmjsd_is_three_products_a_matrix_but_for_the_gradient_to_the_data():
    at = scaling.Point(modalities=3, batch=16)
    step, products = scaling.step_of("mmjsd", at)
    assert products == 2 * 16 * 3 * (3 * MATRICES - FIRST)
    assert np.isfinite(step()["loss"])


@pytest.mark.slow
def test_an_adversarial_model_takes_both_turns():
    """Each turn's batch goes through encoders and critics of its own, so that the batch counts once in everything."""
    small, large = (scaling.step_of("mmali", scaling.Point(modalities=2, batch=size))[1] for size in (8, 16))
    power_iterations = 2 * small - large
    assert 0.0 <= power_iterations < 0.1 * small


def test_exponents_are_those_of_powers_and_a_bend_shows_in_the_steepest_part():
    x = np.array([2.0, 4.0, 8.0])
    assert scaling.exponent(x, 3.0 * x**1.5) == pytest.approx(1.5)
    bent = np.array([2.0, 4.0, 16.0])
    assert scaling.steepest(x, bent) == pytest.approx(2.0)
    row = {"values": [2, 4, 8], "products": list(bent), "cpu_ms": [1.0, 1.0, 1.0]}
    row |= {"exponent": {"products": 1.5, "cpu_ms": 0.0}, "steepest": {"products": 2.0, "cpu_ms": 0.0}}
    (problem,) = scaling.too_steep({"mmjsd/modalities": row, "mmali/modalities": row})
    assert problem.startswith("mmjsd/modalities: operations grow with the power 2.0")
    assert scaling.line("mmjsd/modalities", row) == "| mmjsd/modalities | 2, 4, 8 | 1, 1, 1 | 1.50 | 0.00 | 1 |"


def test_every_model_has_a_point():
    for model in scaling.MODELS:
        for axis in scaling.axes_of(model):
            for at in scaling.points(model, axis).values():
                assert scaling.config_of(model, at).model.shared_dim == at.shared


def test_rows_of_other_models_stay_if_they_were_measured_alike():
    settings, machine = {"rounds": 3}, {"processor": "A", "load": 0.1}
    written = {"rows": {"mmjsd/batch": 1, "mvae/batch": 2}, "settings": settings, "machine": machine}
    assert scaling.others(written, ["mvae"], settings, machine | {"load": 2.0}) == {"mmjsd/batch": 1}
    assert scaling.others({}, ["mvae"], settings, machine) == {}
    for otherwise in (({"rounds": 4}, machine), (settings, machine | {"processor": "B"})):
        with pytest.raises(UserError, match="measure all models, or leave out --write"):
            scaling.others(written, ["mvae"], *otherwise)
        assert scaling.others(written, ["mmjsd", "mvae"], *otherwise) == {}


def test_a_flag_that_no_part_reads_is_refused():
    comparisons.check_read(["rounds", "also"], ["step", "serving"])
    with pytest.raises(UserError, match="--require does nothing for --part=input,scaling; remove it, or add --part=step"):
        comparisons.check_read(["rounds", "require"], ["input", "scaling"])
