"""The contenders, each a process of its own: `python benchmarks/contenders.py mmtf --batch_size=256`.

On its standard input a contender reads numbers of steps, one a line. It runs them, and answers each line on its standard
output with JSON: steps, CPU seconds of all its threads (user and system), wall seconds, and the highest memory of the process
so far in MB. Between lines it does nothing.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

import multivae_experiments
import numpy as np

from mmtf.cli import console
from mmtf.config import Config, DataConfig, ModelConfig, TrainConfig

MATRIX = 2048
MAX_STEPS = 1_000_000  # more than any benchmark asks for: the data end when the process does


def experiment(batch_size: int, **how) -> Config:
    """mmJSD with subspaces as in [S] C.3.2, on the embedded data. how: further options of training."""
    model = ModelConfig("mmjsd", shared_dim=16, private_dim=4, beta=5.0, private_beta=3.0, private_weights="word=5")
    return Config(DataConfig("digits", pairings=20), model, TrainConfig(batch_size=batch_size, **how))


def game(**how) -> Config:
    """MMALI as in [C]'s release, on MNIST-SVHN. how: further options of training."""
    weights = {"reconstruction_weight": 0.05, "content_weight": 0.05, "style_weight": 0.05, "joint_reconstruction": True}
    model = ModelConfig("mmali", shared_dim=10, private_dim=10, unimodal_weight=0.1, **weights)
    train = TrainConfig(batch_size=64, learning_rate=2e-4, adam_beta_1=0.5, **how)
    return Config(DataConfig("mnist_svhn"), model, train)


class Turns:
    """The conversation with the driver: counts steps, and reports when those asked for are done."""

    def __init__(self):
        # Libraries print to standard output: they get standard error's place, and the answers keep the pipe.
        self._answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        self._left = 0

    def done(self, steps: int = 0) -> None:
        """To be called between steps with the number of steps since the last call; waits while there is nothing to do."""
        self._left -= steps
        if self._left > 0:
            return
        if steps:
            self._answer()
        line = sys.stdin.readline()
        if not line.strip():
            sys.exit(0)
        self._steps = self._left = int(line)
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def _answer(self) -> None:
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts in KiB
        answer = {"steps": self._steps - self._left, "cpu": cpu, "wall": wall, "peak_mb": peak}
        self._answers.write(json.dumps(answer) + "\n")
        self._answers.flush()


def mmtf(batch_size: int, turns: Turns, *, xla: bool = False, **how) -> None:
    """Our mmJSD."""
    _vae(experiment(batch_size, **how), turns, xla)


def mmtf_beside_multivae(batch_size: int, turns: Turns, *, model: str) -> None:
    """Ours of a model that `multivae` has too."""
    _vae(multivae_experiments.experiment(model, batch_size), turns)


def mmali(batch_size: int, turns: Turns, **how) -> None:
    """Our MMALI."""
    console.load_tensorflow()
    from mmtf.data import mnist_svhn, pipeline

    config = game(**how)
    batches = pipeline.phase_batches(
        game_sized_split(), batch_size, config.train.seed, first_step=0, num_steps=MAX_STEPS, single=True
    )
    _fit(config, (mnist_svhn.MNIST, mnist_svhn.SVHN), batches, turns)


def _vae(config: Config, turns: Turns, xla: bool = False) -> None:
    console.load_tensorflow()
    from mmtf import registry
    from mmtf.data import pipeline

    data = registry.load_data(config.data)
    batches = pipeline.batches(data.train, config.train.batch_size, config.train.seed, first_step=0, num_steps=MAX_STEPS)
    _fit(config, data.modalities, batches, turns, xla)


def _fit(config: Config, modalities, batches, turns: Turns, xla: bool = False) -> None:
    """As `mmtf.verbs.train.train` runs it: one `fit` over the pipeline's batches, without pictures and checkpoints."""
    import keras
    import tensorflow as tf

    from mmtf import registry
    from mmtf.distributed import platform
    from mmtf.verbs import train

    if config.train.deterministic:
        platform.be_deterministic()

    class Take(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            turns.done()

        def on_train_batch_end(self, batch, logs=None):
            turns.done(model.steps_per_execution)

    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    with strategy.scope():
        model = registry.build_model(config, registry.configure(modalities, config.model), config.train.precision)
        train.compile_model(model, config.train, steps=MAX_STEPS, per_epoch=MAX_STEPS, strategy=strategy)
        model.jit_compile = model.jit_compile or xla
    model.fit(batches, epochs=1, steps_per_epoch=MAX_STEPS, callbacks=[Take()], shuffle=False, verbose=0)


def matmul(batch_size: int, turns: Turns, *, precision: str = "float32") -> None:
    """A product of two square matrices of `MATRIX` rows a step: what the machine can do, next to which a step is seen."""
    console.load_tensorflow()
    import tensorflow as tf

    square = tf.cast(tf.random.stateless_normal([MATRIX, MATRIX], (0, 0)), precision)
    product = tf.function(lambda x: tf.matmul(x, x))
    turns.done()
    while True:
        product(square)
        turns.done(1)


def mmtf_input(batch_size: int, turns: Turns) -> None:
    """Our input pipeline alone: what the batches cost when nothing is done with them."""
    console.load_tensorflow()
    from mmtf import registry
    from mmtf.data import pipeline

    config = experiment(batch_size)
    data = registry.load_data(config.data)
    turns.done()
    for _ in pipeline.batches(data.train, batch_size, config.train.seed, first_step=0, num_steps=MAX_STEPS):
        turns.done(1)


def mmtf_paper_input(batch_size: int, turns: Turns) -> None:
    """Our input pipeline alone, on data of the size of MNIST-SVHN-Text: 60,000 and 73,257 images, 20 pairings."""
    console.load_tensorflow()
    from mmtf.data import pipeline

    split = paper_sized_split()
    turns.done()
    for _ in pipeline.batches(split, batch_size, seed=0, first_step=0, num_steps=MAX_STEPS):
        turns.done(1)


def paper_sized_split():
    """The training split of MNIST-SVHN-Text [S] with noise for images, so that no download is needed: 1.2 million pairs."""
    from mmtf import text
    from mmtf.data import pairing

    rng = np.random.default_rng(0)
    words, digit = text.digit_word_pool()
    return pairing.paired_split(noise_images(rng) | {"text": (words.astype(np.uint8), digit)}, 20, rng)


def game_sized_split():
    """The training split of MNIST-SVHN [C] likewise: 1.8 million pairs."""
    from mmtf.data import pairing

    rng = np.random.default_rng(0)
    return pairing.paired_split(noise_images(rng), 30, rng)


def noise_images(rng: np.random.Generator) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return pools and labels of the size of MNIST and SVHN."""
    return {
        name: (rng.integers(0, 256, (count, *shape), np.uint8), rng.integers(0, 10, count))
        for name, count, shape in (("mnist", 60_000, (28, 28, 1)), ("svhn", 73_257, (32, 32, 3)))
    }


def peer(batch_size: int, turns: Turns, *, channels_last: bool = False, compiled: bool = False, bfloat16: bool = False) -> None:
    """PyTorch, eager; with `channels_last`, weights of convolutions laid out as its guide to CPU speed advises.

    With `compiled` its loss under torch.compile, which needs a C++ compiler; with `bfloat16` under its automatic casts.
    """
    import torch
    import torch_mmjsd

    model = torch_mmjsd.MMJSD()
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=experiment(batch_size).train.learning_rate)
    if compiled:
        model.loss = torch.compile(model.loss)
    turns.done()
    for values in _peer_batches(batch_size):
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            torch_mmjsd.train_step(model, optimizer, values)
        turns.done(1)


def torch_mmali(batch_size: int, turns: Turns, *, cached: bool = False) -> None:
    """The peer of our MMALI; with `cached`, spectral norms taken once a turn by PyTorch's own cache."""
    import torch_data
    import torch_mmali

    training = torch_mmali.Game(cached=cached)
    split = game_sized_split()
    turns.done()
    for batches in torch_data.phase_batches(split, batch_size, game().train.seed):
        training.step(batches)
        turns.done(1)


def multivae(batch_size: int, turns: Turns, *, model: str, gathered: bool = False) -> None:
    """The model of `multivae` under its own trainer; with `gathered` in the plainest loop, whole batches gathered at once.

    `singletons` is the model beside our mmJSD, see `multivae_peer.build`.
    """
    import multivae_peer

    from mmtf.data import digits

    config = experiment(batch_size) if model == "singletons" else multivae_experiments.experiment(model, batch_size)
    split = digits.load(pairings=config.data.pairings, seed=config.data.data_seed).train
    peer = multivae_peer.build(config, digits.MODALITIES)
    if gathered:
        optimizer = multivae_peer.optimizer(peer, config)
        turns.done()
        for batch in multivae_peer.gathered(split, config):
            multivae_peer.step(peer, optimizer, batch)
            turns.done(1)
    data, each_step = multivae_peer.dataset(split), functools.partial(turns.done, 1)
    with tempfile.TemporaryDirectory() as folder:  # only the end of training would write to it, and there is none
        trainer = multivae_peer.trainer(peer, data, config, MAX_STEPS, folder, each_step)
    turns.done()
    trainer.train()


def peer_input(batch_size: int, turns: Turns) -> None:
    """The peer's input pipeline alone."""
    turns.done()
    for _ in _peer_batches(batch_size):
        turns.done(1)


def _peer_batches(batch_size: int) -> Iterator:
    import torch_data

    from mmtf.data import digits

    config = experiment(batch_size)
    split = digits.load(pairings=config.data.pairings, seed=config.data.data_seed).train
    return torch_data.endless(torch_data.loader(split, batch_size, config.train.seed))


CONTENDERS: dict[str, Callable] = {
    "mmtf": mmtf,
    "mmtf_bfloat16": functools.partial(mmtf, precision="bfloat16"),
    "mmtf_xla": functools.partial(mmtf, xla=True),
    "mmtf_deterministic": functools.partial(mmtf, deterministic=True),
    "torch": peer,
    "torch_channels_last": functools.partial(peer, channels_last=True),
    "torch_compiled": functools.partial(peer, compiled=True),
    "torch_bfloat16": functools.partial(peer, bfloat16=True),
    "multivae_singletons": functools.partial(multivae, model="singletons"),
    "matmul": matmul,
    "matmul_bfloat16": functools.partial(matmul, precision="bfloat16"),
    "mmtf_input": mmtf_input,
    "mmtf_paper_input": mmtf_paper_input,
    "torch_input": peer_input,
    "mmali": mmali,
    "mmali_bfloat16": functools.partial(mmali, precision="bfloat16"),
    "mmali_deterministic": functools.partial(mmali, deterministic=True),
    "torch_mmali": torch_mmali,
    "torch_mmali_cached": functools.partial(torch_mmali, cached=True),
}
for _model in multivae_experiments.MODELS:
    CONTENDERS |= {
        f"mmtf_{_model}": functools.partial(mmtf_beside_multivae, model=_model),
        f"multivae_{_model}": functools.partial(multivae, model=_model),
        f"multivae_{_model}_gathered": functools.partial(multivae, model=_model, gathered=True),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=CONTENDERS)
    parser.add_argument("--batch_size", type=int, required=True)
    arguments = parser.parse_args()
    CONTENDERS[arguments.name](arguments.batch_size, Turns())


if __name__ == "__main__":
    main()
