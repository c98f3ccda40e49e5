"""Networks that compute with bfloat16: the same objective and nearly the same gradients, and float32 everywhere else."""

import numpy as np
import pytest
import small_runs
import tensorflow as tf

from mmtf import registry
from mmtf.config import Config, DataConfig, ModelConfig, TrainConfig
from mmtf.distributed.random import Noise
from mmtf.errors import UserError
from mmtf.modality import Modality
from mmtf.verbs import evaluate, train

BATCH = 32
MODALITIES = (
    Modality("vector", (24,), "normal", private_dim=4),
    Modality("image", (8, 8, 3), "laplace", private_dim=4),
    Modality("text", (6,), "categorical", num_classes=7, alphabet="abcdefg", private_dim=4),
)


def values(shape):
    rng = np.random.default_rng(0)
    return {
        "vector": rng.normal(size=(*shape, 24)).astype(np.float32),
        "image": rng.uniform(size=(*shape, 8, 8, 3)).astype(np.float32),
        "text": rng.integers(0, 7, (*shape, 6)).astype(np.int32),
    }


def config(model, **train_options):
    return Config(DataConfig("arrays"), ModelConfig(model, shared_dim=6, private_dim=4), TrainConfig(**train_options))


def built(model, precision, modalities=MODALITIES):
    """Of the same initial weights in both precisions."""
    return registry.build_model(config(model), modalities, precision)


def terms_and_gradients(model, batch):
    weights = [v for part in model.learned().values() for v in part]
    with tf.GradientTape() as tape:
        terms = model.terms(batch, None, Noise(tf.constant([0, 1]), BATCH), 10)
        loss = sum(tf.reduce_mean(x) for name, x in terms.items() if name in ("loss", "discriminator/loss"))
    return terms, [tf.convert_to_tensor(g) for g in tape.gradient(loss, weights)]


@pytest.mark.parametrize("name", list(registry.MODELS))
def test_gradients_are_those_of_float32_but_for_rounding(name):
    plain, half = (built(name, precision) for precision in ("float32", "bfloat16"))
    for one, other in zip(plain.weights, half.weights, strict=True):
        assert one.dtype == other.dtype == "float32"
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    batch = values((BATCH,))
    (wanted, exact), (terms, rounded) = (terms_and_gradients(model, batch) for model in (plain, half))
    for term, value in terms.items():
        assert value.dtype == tf.float32, term
        np.testing.assert_allclose(value, wanted[term], rtol=0.05, atol=0.05 * np.abs(wanted[term]).max() + 1e-3, err_msg=term)
    exact, rounded = (np.concatenate([g.numpy().ravel() for g in part]) for part in (exact, rounded))
    cosine = exact @ rounded / np.linalg.norm(exact) / np.linalg.norm(rounded)
    # Numbers of 8 bits are no more than 1/256 off, and are not all right.
    assert cosine > 0.995
    assert np.abs(exact - rounded).max() > 1e-5 * np.abs(exact).max()


@pytest.mark.parametrize("name", ["mmjsd", pytest.param("mmali_joint", marks=pytest.mark.slow)])
def test_every_kernel_of_the_step_is_multiplied_in_bfloat16(name):
    """But for the heads, a matrix product each, which make the codes' distributions."""
    modalities = MODALITIES[1:]
    model = built(name, "bfloat16", modalities)
    train.compile_model(model, config(name).train, 1, 1, tf.distribute.get_strategy())
    batch = {part: values((BATCH,) if model.batches_per_step() == 1 else (BATCH, 2)) for part in ("values", "single")}
    batch = {part: {m.name: found[m.name] for m in modalities} for part, found in batch.items()}
    graph = tf.function(model.train_step).get_concrete_function(batch).graph
    kinds = {"MatMul", "Conv2D", "Conv1D"}
    found = [op for op in graph.get_operations() if op.type in kinds and op.outputs[0].shape.rank]
    half = [op for op in found if op.outputs[0].dtype == tf.bfloat16]
    single = [op for op in found if op.outputs[0].dtype == tf.float32 and "gradient_tape" not in op.name]
    assert len(half) > 2 * len(modalities)
    heads = {2 * (6 + 4)}
    power_iterations = [op for op in single if 1 in op.outputs[0].shape.as_list()]
    assert {op.outputs[0].shape[-1] for op in single if op not in power_iterations} <= heads


def test_a_run_trains_in_bfloat16_and_is_used_in_float32(tmp_path):
    data, settings = small_runs.arrays(), small_runs.config(4, precision="bfloat16")
    run = train.train(settings, tmp_path / "run", data=data)
    model, step = evaluate.load_model(run)
    assert step == 4
    layers = [layer for network in model.coders.encoders.values() for layer in network.layers]
    assert {layer.compute_dtype for layer in layers if layer.weights} == {"float32"}
    reparameterize = [np.abs(x.numpy()).max() for x in model.coders.weights if x.name == "bias"]
    assert min(reparameterize) > 0.0  # biases start at 0
    assert model.posterior(data.test.take(np.arange(3))).mean().dtype == tf.float32

    with pytest.raises(UserError, match="--precision was 'bfloat16' and is 'float32'"):
        train.train(small_runs.config(6, precision="float32"), run.path, data=data, resume=True)
    with pytest.raises(UserError, match="already has 4 steps"):
        train.train(settings, run.path, data=data, resume=True)


def test_runs_from_before_there_was_a_choice_are_of_float32():
    parts = config("mmjsd").to_json()
    del parts["train"]["precision"]
    assert Config.from_json(parts).train.precision == "float32"
