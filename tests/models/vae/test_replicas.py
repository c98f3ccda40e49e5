"""Two replicas do what one does: same noise, same update, same report; and no two examples share noise."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import toys
from drawn import assert_same
from toys import ROUNDING

from mmtf.distributed import random, replicas, strategies

KIND, N, STEPS = "mmjsd", 12, 2
MASK = {n: np.random.default_rng(k).uniform(size=N) > 0.3 for k, n in enumerate(("vector", "image", "text"))}


def train(strategy_name, per_execution=1, inside=False, **options):
    """The toy model's weights after some steps of fit on the same batches, and the terms that fit reported."""
    strategy = strategies.make_strategy(strategy_name)
    with strategy.scope():
        model = toys.model(KIND, 2, **options)
        model.compiles_gradients = inside
        # SGD shows a wrong scale of the gradient; Adam would hide it.
        model.compile(optimizer=keras.optimizers.SGD(0.01), jit_compile=False, steps_per_execution=per_execution)
    batches = [{"values": toys.values(N, seed=s), "mask": MASK} for s in range(STEPS)]
    data = tf.data.Dataset.from_generator(
        lambda: iter(batches),
        output_signature=tf.nest.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), batches[0]),
    )
    history = model.fit(data, steps_per_epoch=STEPS, epochs=1, shuffle=False, verbose=0)
    weights = {name: np.asarray(v) for name, v in model.named_weights().items()}
    return weights, {k: v[-1] for k, v in history.history.items()}


def test_two_replicas_in_a_graph_update_as_one_device():
    """With all steps in one execution, of incomplete examples; of each model, step by step, `ReplicaContract` says so."""
    one, two = train("one"), train("mirrored", per_execution=STEPS)
    start = toys.model(KIND, 2).named_weights()
    assert any(not np.allclose(start[n], x, atol=1e-4) for n, x in one[0].items())
    for found, wanted in zip(two, one, strict=True):
        assert_same(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "graph", [pytest.param(True, marks=pytest.mark.slow, id="graph"), pytest.param(False, id="step by step")]
)
@pytest.mark.parametrize("kind", ["mmjsd", "mvae"])
def test_a_contrast_in_a_microbatch_is_that_of_its_examples(kind, graph):
    """In a loop inside of a graph, too, where TensorFlow's optimizer has changed sums of terms that are broadcast."""
    model = toys.model(kind, 0, **toys.contrastive("iwae", 2.0, 2, 2), microbatch=6)
    model.compile(keras.optimizers.SGD(0.01))
    data, noise = tf.nest.map_structure(tf.convert_to_tensor, toys.values(N)), random.Noise(tf.constant([0, 1]), N)

    def in_parts(values):
        return model._accumulate_gradients(values, None, noise, 0, N)

    found, _ = (tf.function(in_parts) if graph else in_parts)(data)
    for first in (0, 6):
        part = {name: x[first : first + 6] for name, x in data.items()}
        wanted = model.terms(part, None, noise.part(first, 6), 0)
        assert_same({name: found[name][first : first + 6] for name in wanted}, wanted, **ROUNDING)


@pytest.mark.slow
def test_losses_and_gradients_by_xla_are_the_same(monkeypatch):
    """As on several accelerators, where XLA fails on the whole step; in parts, too. It draws other numbers: hence the table."""
    monkeypatch.setattr(random, "Noise", toys.TableNoise)
    plain, inside = train("mirrored"), train("mirrored", inside=True, microbatch=3)
    for found, wanted in zip(inside, plain, strict=True):
        assert_same(found, wanted, rtol=1e-4, atol=1e-5)


def test_noise_of_two_replicas_is_that_of_one():
    strategy = strategies.make_strategy("mirrored")
    assert strategy.num_replicas_in_sync == 2

    @tf.function
    def draw(n):
        noise = random.Noise(tf.constant([3, 4]), n)
        return noise.normal("a", 2), noise.strata("b")

    whole = draw(10)
    parts = [strategy.experimental_local_results(x) for x in strategy.run(draw, args=(5,))]
    for one, both in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(np.concatenate(both), one)
        assert len(np.unique(one)) == one.shape.num_elements()


def test_the_seed_and_the_step_are_in_the_noise_of_an_update():
    """Of equal weights and values: another seed draws otherwise, and so does the same one at another step."""
    model, values = toys.model(KIND, 2, seed=3), tf.nest.map_structure(tf.constant, toys.values(N))
    assert model.seed == 3
    model.compile(keras.optimizers.SGD(0.0), jit_compile=False)
    model.optimizer.build(model.trainable_variables)

    def loss(seed, step):
        model.seed = seed
        model.optimizer.iterations.assign(step)
        model.reset_metrics()
        return float(model.train_step({"values": values})["loss"])

    found = [loss(3, 0), loss(4, 0), loss(3, 1)]
    assert len(set(found)) == 3
    assert loss(3, 0) == pytest.approx(found[0], rel=1e-6)


def test_streams_steps_and_seeds_have_noise_of_their_own():
    draws = [random.Noise(tf.constant(s), 4).normal(stream, 3) for s in ([0, 0], [0, 1], [1, 0]) for stream in "ab"]
    assert len({np.asarray(d).tobytes() for d in draws}) == 6
    np.testing.assert_array_equal(draws[0], random.Noise(tf.constant([0, 0]), 4).normal("a", 3))


def test_strata_cover_the_unit_interval_evenly_in_random_order():
    strata = np.asarray(random.Noise(tf.constant([0, 0]), 1000).strata("s"))
    np.testing.assert_array_equal(np.sort((strata * 1000).astype(int)), np.arange(1000))
    assert abs(np.corrcoef(strata, np.arange(1000))[0, 1]) < 0.15
    assert strata.max() < 1.0


def test_reduction_is_the_mean_over_the_global_batch():
    strategy = strategies.make_strategy("mirrored")
    parts = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant([1.0, 2.0] if context.replica_id_in_sync_group == 0 else [3.0, 6.0])
    )
    shares = strategy.experimental_local_results(strategy.run(replicas.replica_mean, args=(parts,)))
    np.testing.assert_allclose(sum(np.asarray(s) for s in shares), 3.0)


def test_unknown_strategy_is_refused():
    with pytest.raises(ValueError, match="auto, one, mirrored"):
        strategies.make_strategy("mirored")
