"""Ideas for a faster step of mmJSD, each against the step as it is: `python benchmarks/ideas.py step` and `... convolutions`.

All variants are in one process and take turns. A variant that leaves something out, such as the update, is no idea but the
most that any idea about that part could bring.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import types
from collections.abc import Callable, Mapping

import contenders
import interleaved

from mmtf.cli import console

BATCH = 256
# Of the convolutions of [S] Table 6: size of the larger image, channels there and in the smaller one.
CONVOLUTIONS = ((32, 3, 32), (16, 32, 64), (8, 64, 64))

Variants = Mapping[str, Callable[[], object]]


def race(variants: Variants, rounds: int, calls: int) -> str:
    """Markdown: CPU milliseconds of a call, and its ratio to the first variant's in the same round: median [min, max]."""
    turns: dict[str, list[float]] = {name: [] for name in variants}
    for call in variants.values():
        _milliseconds(call, 3)
    for number in range(rounds):
        for name in list(variants) if number % 2 == 0 else reversed(list(variants)):
            turns[name].append(_milliseconds(variants[name], calls))
    base = next(iter(turns.values()))
    lines = ["| variant | CPU ms | ratio: median [min, max] |", "|---|---:|---:|"]
    for name, own in turns.items():
        ratios = [a / b for a, b in zip(own, base, strict=True)]
        ratio = f"{statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"
        lines.append(f"| {name} | {statistics.median(own):.1f} | {ratio} |")
    return "\n".join(lines)


def _milliseconds(call: Callable[[], object], count: int) -> float:
    start = time.process_time()
    for _ in range(count):
        call()
    return 1000 * (time.process_time() - start) / count


# ---- the step ----------------------------------------------------------------------------------------------------------


def steps() -> Variants:
    """Return training steps on one batch, each of a model of its own."""
    import tensorflow as tf

    from mmtf import registry
    from mmtf.data import pipeline
    from mmtf.verbs import train

    config = contenders.experiment(BATCH)
    data = registry.load_data(config.data)
    batch = next(iter(pipeline.batches(data.train, BATCH, 0, first_step=0, num_steps=1)))

    def variant(change=lambda model: None, precision: str = "float32"):
        strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
        with strategy.scope():
            model = registry.build_model(config, registry.configure(data.modalities, config.model), precision)
            train.compile_model(model, config.train, steps=1, per_epoch=1, strategy=strategy)
        change(model)
        step = tf.function(model.train_step)
        return lambda: step(batch)

    return {
        "as it is": variant(),
        "bfloat16": variant(precision="bfloat16"),
        "Laplace densities as one operation with its own gradient": variant(_laplace_at_once),
        "Adam as one operation per weight": variant(_fused_adam),
        "left out: the update": variant(_no_update),
        "left out: means of the terms": variant(_no_means),
        "left out: random numbers": variant(_no_noise),
    }


def _no_update(model) -> None:
    # The gradients must be used, or they would not be computed.
    model.optimizer.apply = lambda gradients, variables: [
        v.value.assign_sub(0.0 * g) for v, g in zip(variables, gradients, strict=True)
    ]


def _no_means(model) -> None:
    model.term_means.update_state = lambda *_: None
    model.get_metrics_result = dict


def _no_noise(model) -> None:
    import tensorflow as tf

    class Constant:
        def normal(self, stream, dim):
            return tf.fill([BATCH, dim], 0.1)

        def strata(self, stream):
            return tf.linspace(0.0, 0.999, BATCH)

    def step(self, batch):
        terms, gradients = self._differentiated(batch["values"], None, Constant(), 0)
        self.optimizer.apply(gradients, self.trainable_variables)
        self.term_means.update_state(terms, None, 0)
        return self.get_metrics_result()

    model.train_step = types.MethodType(step, model)


def _fused_adam(model) -> None:
    import tensorflow as tf

    slots = [[tf.Variable(tf.zeros(v.shape)) for _ in range(2)] for v in model.trainable_variables]
    adam = model.optimizer

    def apply(gradients, variables):
        count = tf.cast(adam.iterations + 1, tf.float32)
        for (first, second), v, g in zip(slots, variables, gradients, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=v.value.handle, m=first.handle, v=second.handle, grad=tf.convert_to_tensor(g), lr=adam.learning_rate,
                beta1_power=tf.pow(adam.beta_1, count), beta2_power=tf.pow(adam.beta_2, count),
                beta1=adam.beta_1, beta2=adam.beta_2, epsilon=adam.epsilon,
            )  # fmt: skip
        adam.iterations.assign_add(1)

    adam.apply = apply


def _laplace_at_once(model) -> None:
    import math

    import tensorflow as tf

    from mmtf.distributions.likelihood import log_density

    @tf.custom_gradient
    def density(loc, x):
        difference = tf.reshape(loc - x, [BATCH, -1])
        constant = difference.shape[-1] * math.log(2 * 0.75)

        def gradient(upstream):
            slope = tf.reshape(tf.sign(difference) * (-upstream / 0.75)[:, None], tf.shape(loc))
            return slope, None

        return -tf.reduce_sum(tf.abs(difference), -1) / 0.75 - constant, gradient

    def log_likelihood(self, observed, shared, private):
        found = {}
        for name, value in observed.values.items():
            modality = self.modalities[name]
            if modality.likelihood == "laplace":
                found[name] = density(self.coders.decode(name, shared, private[name]), value)
            else:
                found[name] = log_density(modality, self._decode(name, shared, private[name]), value)
        return found

    model.log_likelihood = types.MethodType(log_likelihood, model)


# ---- convolutions ------------------------------------------------------------------------------------------------------


def convolutions(size: int, channels: int, filters: int) -> dict[str, Variants]:
    """Return forms of the convolution of kernel 4 and stride 2 and of its two gradients.

    That to the image is the transposed one.
    """
    import tensorflow as tf

    half = size // 2
    x = tf.random.stateless_normal([BATCH, size, size, channels], (0, 0))
    y = tf.random.stateless_normal([BATCH, half, half, filters], (0, 1))
    kernel = tf.random.stateless_normal([4, 4, channels, filters], (0, 2))
    strides = {"strides": [1, 2, 2, 1], "padding": "SAME"}

    def blocks(x):
        return tf.nn.space_to_depth(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), 2)

    def block_kernel(kernel):
        parts = tf.transpose(tf.reshape(kernel, [2, 2, 2, 2, channels, filters]), [0, 2, 1, 3, 4, 5])
        return tf.reshape(parts, [2, 2, 4 * channels, filters])

    def columns(x):
        patches = tf.image.extract_patches(x, [1, 4, 4, 1], [1, 2, 2, 1], [1, 1, 1, 1], "SAME")
        return tf.reshape(patches, [-1, 16 * channels])

    def in_parts(x, kernel, count=4):
        return tf.concat([tf.nn.conv2d(part, kernel, 2, "SAME") for part in tf.split(x, count)], axis=0)

    def from_blocks(y, kernel):
        size_of_blocks = [BATCH, half + 1, half + 1, 4 * channels]
        found = tf.raw_ops.Conv2DBackpropInput(
            input_sizes=size_of_blocks, filter=block_kernel(kernel), out_backprop=y, strides=[1] * 4, padding="VALID"
        )
        return tf.nn.depth_to_space(found, 2)[:, 1:-1, 1:-1]

    def to_kernel(x, y):
        return tf.raw_ops.Conv2DBackpropFilter(input=x, filter_sizes=kernel.shape, out_backprop=y, **strides)

    def block_to_kernel(x, y):
        shape = [2, 2, 4 * channels, filters]
        return tf.raw_ops.Conv2DBackpropFilter(
            input=blocks(x), filter_sizes=shape, out_backprop=y, strides=[1] * 4, padding="VALID"
        )

    def called(function, *arguments, dtype=tf.float32):
        arguments = [tf.cast(a, dtype) for a in arguments]
        made = tf.function(function).get_concrete_function(*arguments)
        return lambda: made(*arguments)

    def to_image(y, kernel):
        return tf.raw_ops.Conv2DBackpropInput(input_sizes=x.shape, filter=kernel, out_backprop=y, **strides)

    def convolved(x, kernel):
        return tf.nn.conv2d(x, kernel, 2, "SAME")

    return {
        "forwards": {
            "convolution": called(convolved, x, kernel),
            "bfloat16": called(convolved, x, kernel, dtype=tf.bfloat16),
            "blocks of 2 x 2 as channels": called(lambda x, k: tf.nn.conv2d(blocks(x), block_kernel(k), 1, "VALID"), x, kernel),
            "columns and a matrix product": called(lambda x, k: columns(x) @ tf.reshape(k, [-1, filters]), x, kernel),
            "a quarter of the batch at a time": called(in_parts, x, kernel),
        },
        "gradient to the kernel": {
            "convolution": called(to_kernel, x, y),
            "bfloat16": called(to_kernel, x, y, dtype=tf.bfloat16),
            "blocks of 2 x 2 as channels": called(block_to_kernel, x, y),
        },
        "gradient to the image": {
            "convolution": called(to_image, y, kernel),
            "bfloat16": called(to_image, y, kernel, dtype=tf.bfloat16),
            "blocks of 2 x 2 as channels": called(from_blocks, y, kernel),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("step", "convolutions"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=6, help="of a variant in a round")
    arguments = parser.parse_args()
    os.environ |= interleaved.ENVIRONMENT
    console.load_tensorflow()
    if arguments.part == "step":
        print(race(steps(), arguments.rounds, arguments.calls))
        return
    for size, channels, filters in CONVOLUTIONS:
        for direction, variants in convolutions(size, channels, filters).items():
            print(f"\n{size} x {size} x {channels} and {size // 2} x {size // 2} x {filters}, {direction}\n")
            print(race(variants, arguments.rounds, arguments.calls), flush=True)


if __name__ == "__main__":
    main()
