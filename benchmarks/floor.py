"""How near a step is to the machine's limit: its convolutions and matrix products, at the rate of a large matrix product."""

from __future__ import annotations

from collections.abc import Mapping

import contenders

from mmtf.config import Config

# What does nearly all of the arithmetic; their gradients are operations of the same names.
MATRIX_PRODUCTS = {"float32": "matmul", "bfloat16": "matmul_bfloat16"}
PRODUCTS = ("Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter", "MatMul", "BatchMatMulV2")


def step_products(config: Config, modalities, batches) -> float:
    """Return floating-point operations of the convolutions and matrix products of one training step, forwards and backwards.

    As TensorFlow counts them in the step's graph, a multiplication and an addition as two. What the graph leaves out, such as
    the gradient to the data, is not counted; that a convolution's border meets zeros is.

    Args: batches: of the training pipeline.
    """
    import tensorflow as tf

    from mmtf import registry
    from mmtf.verbs import train

    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    with strategy.scope():
        model = registry.build_model(config, registry.configure(modalities, config.model))
        train.compile_model(model, config.train, steps=1, per_epoch=1, strategy=strategy)
    return graph_products(tf.function(model.train_step).get_concrete_function(next(iter(batches))).graph)


def graph_products(graph) -> float:
    """Return the same of a graph of static shapes."""
    import tensorflow as tf

    builder = tf.compat.v1.profiler.ProfileOptionBuilder
    options = builder(builder.float_operation()).with_empty_output().with_accounted_types(PRODUCTS).build()
    return float(tf.compat.v1.profiler.profile(graph, options=options).total_float_ops)


def vae_products(batch_size: int) -> float:
    """Of our mmJSD's step."""
    from mmtf import registry
    from mmtf.data import pipeline

    config = contenders.experiment(batch_size)
    data = registry.load_data(config.data)
    return step_products(config, data.modalities, pipeline.batches(data.train, batch_size, 0, first_step=0, num_steps=1))


def game_products(batch_size: int) -> float:
    """Of our MMALI's step, both turns."""
    from mmtf.data import mnist_svhn, pipeline

    batches = pipeline.phase_batches(contenders.game_sized_split(), batch_size, 0, first_step=0, num_steps=1, single=True)
    return step_products(contenders.game(), (mnist_svhn.MNIST, mnist_svhn.SVHN), batches)


def shares(rows: Mapping[str, Mapping], products: float, ours: str) -> dict[str, float]:
    """A step's rate over that of a matrix product of the same precision, in the same run; both per second of CPU time.

    Args:
      rows: as `interleaved.summary` has them, with `matmul` and `matmul_bfloat16` among them.
      products: floating-point operations of a step. ours: the contender; beside it `<ours>_bfloat16`.
    """
    matrix = 2.0 * contenders.MATRIX**3
    steps = {"float32": ours, "bfloat16": f"{ours}_bfloat16"}
    return {
        precision: round(products / rows[steps[precision]]["cpu_ms"] / (matrix / rows[product]["cpu_ms"]), 3)
        for precision, product in MATRIX_PRODUCTS.items()
        if product in rows
    }


def text(rows: Mapping[str, Mapping], products: float, found: Mapping[str, float]) -> str:
    """Return what `shares` found, as a sentence."""
    rates = {p: 2.0 * contenders.MATRIX**3 / rows[MATRIX_PRODUCTS[p]]["cpu_ms"] / 1e6 for p in found}
    parts = [f"{share:.0%} of the {rates[precision]:.0f} GFLOP/s of {precision}" for precision, share in found.items()]
    return f"{products / 1e9:.1f} GFLOP a step: {' and '.join(parts)} that matrix products reach in a second of CPU time."
