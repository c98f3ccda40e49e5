"""Trains a model with both libraries from the same weights, and evaluates the weights that both find with one evaluator: ours.

That it evaluates the objective of either is what `tests/benchmarks/test_multivae_equal.py` shows.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence

import multivae_experiments
import multivae_peer
import numpy as np
import scipy.stats
import tensorflow as tf
import torch

from mmtf import registry
from mmtf.config import Config
from mmtf.data import pipeline
from mmtf.data.dataset import MultimodalData, Split
from mmtf.distributed import random, replicas
from mmtf.verbs import train

# Of the noise under which everything is evaluated: the same for all.
NOISE_SEED = 2021
TEST_BATCH = 397
# Of equal means, 5 pairs in 100 have a smaller p-value.
RARE = 0.05

Terms = dict[str, float]


def compare(model: str, batch_size: int, seeds: Sequence[int], epochs: int) -> dict:
    """Return every term on the test split after training, by library a number per seed.

    Returns:
      `mmtf`, `multivae`: terms by our evaluator at the weights that either found. `multivae_itself`: the loss that the library
      gives for its own weights. `steps`: how many there were.
    """
    found = {"steps": 0, "mmtf": [], "multivae": [], "multivae_itself": []}
    for seed in seeds:
        config = multivae_experiments.experiment(model, batch_size, seed)
        data = registry.load_data(config.data)
        modalities = registry.configure(data.modalities, config.model)
        ours, peer = registry.build_model(config, modalities), multivae_peer.build(config, modalities)
        multivae_peer.copy_to(peer, ours)
        found["steps"] = epochs * (len(data.train) // batch_size)
        train_ours(ours, data, config, found["steps"])
        found["mmtf"].append(evaluate(ours, data.test))
        peer = multivae_peer.train(peer, multivae_peer.dataset(data.train), config, epochs)
        multivae_peer.copy_from(peer, ours)
        found["multivae"].append(evaluate(ours, data.test))
        found["multivae_itself"].append(evaluate_itself(peer, data.test))
    return found | {library: _by_term(found[library]) for library in ("mmtf", "multivae")}


def train_ours(model, data: MultimodalData, config: Config, steps: int) -> None:
    """As `mmtf.verbs.train.train` does, without pictures and checkpoints."""
    train.compile_model(model, config.train, steps, steps, tf.distribute.OneDeviceStrategy("/cpu:0"))
    batches = pipeline.batches(data.train, config.train.batch_size, config.train.seed, first_step=0, num_steps=steps)
    model.fit(batches, epochs=1, shuffle=False, verbose=0)


def evaluate(model, split: Split) -> Terms:
    """Return means of our model's terms over a split."""

    @tf.function
    def terms(values, number):
        noise = random.Noise(tf.stack([NOISE_SEED, number]), replicas.batch_size(values))
        return {name: tf.reduce_sum(term) for name, term in model.terms(values, None, noise, 0).items()}

    sums = [terms(batch, tf.constant(number)) for number, batch in enumerate(_batches(split))]
    return {name: sum(float(part[name]) for part in sums) / len(split) for name in sums[0]}


def evaluate_itself(peer, split: Split) -> float:
    """Return mean of the library's own loss over a split, under noise of its own."""
    torch.manual_seed(NOISE_SEED)
    peer.eval()
    if isinstance(peer, multivae_peer.models.MMVAE):
        # The other loss has the right gradient, and a value that is no bound.
        peer.model_config.loss = "iwae_looser"
    with torch.no_grad():
        losses = [len(batch["digit"]) * multivae_peer.mean_loss(peer, multivae_peer.batch(batch)) for batch in _batches(split)]
    return round(float(sum(losses)) / len(split), 3)


def _batches(split: Split) -> Iterable[dict[str, np.ndarray]]:
    return (split.take(np.arange(first, min(first + TEST_BATCH, len(split)))) for first in range(0, len(split), TEST_BATCH))


def _by_term(evaluated: Sequence[Terms]) -> dict[str, list[float]]:
    return {name: [round(terms[name], 3) for terms in evaluated] for name in evaluated[0]}


def distance(ours: Sequence[float], peers: Sequence[float]) -> tuple[float, float]:
    """Return difference of two means, the peer's less ours, and the p-value of Welch's test that there is none."""
    test = scipy.stats.ttest_ind(peers, ours, equal_var=False)
    return statistics.mean(peers) - statistics.mean(ours), float(test.pvalue)


def report(found: Mapping[str, Mapping]) -> str:
    """Markdown of all that `compare` found, by model."""
    count = "{} of all {} terms have p < {}.".format(*rare(found), RARE)
    return f"{table(found)}\n\n{count}\n\nLoss at the weights of multivae\n\n{table_of_losses(found)}"


def table(found: Mapping[str, Mapping]) -> str:
    """Markdown of what `compare` found, by model: loss, log-likelihoods and divergence of all modalities together."""
    lines = [
        "| model | term | mmtf | multivae | multivae - mmtf | p |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for model, both in found.items():
        for term, ours in both["mmtf"].items():
            short = term.removeprefix("joint/")
            if short.split("/")[0] not in ("loss", "log_likelihood", "divergence"):
                continue
            peers = both["multivae"][term]
            difference, p = distance(ours, peers)
            cells = " | ".join(f"{statistics.mean(x):.2f} ± {statistics.stdev(x):.2f}" for x in (ours, peers))
            lines.append(f"| {model} | {short} | {cells} | {difference:+.2f} | {p:.2f} |")
    return "\n".join(lines)


def table_of_losses(found: Mapping[str, Mapping]) -> str:
    """Markdown of the loss that both libraries give for the weights that `multivae` found, seed by seed."""
    lines = ["| model | by mmtf | by multivae |", "|---|---:|---:|"]
    for model, both in found.items():
        cells = (", ".join(f"{loss:.1f}" for loss in losses) for losses in (both["multivae"]["loss"], both["multivae_itself"]))
        lines.append(f"| {model} | {' | '.join(cells)} |")
    return "\n".join(lines)


def rare(found: Mapping[str, Mapping]) -> tuple[int, int]:
    """Return how many terms of all models have a p-value below `RARE`, and how many terms there are."""
    values = [distance(ours, both["multivae"][term])[1] for both in found.values() for term, ours in both["mmtf"].items()]
    return sum(p < RARE for p in values), len(values)
