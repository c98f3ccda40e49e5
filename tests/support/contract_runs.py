"""What every VAE keeps to when it is trained, killed, exported and served, on two modalities of three numbers each."""

import dataclasses
import shutil
from collections.abc import Mapping

import numpy as np
import pytest
import shared
import tensorflow as tf
from small_runs import assert_saved_alike, saved

from mmtf.config import Config, DataConfig, ModelConfig, TrainConfig
from mmtf.data import from_arrays
from mmtf.runs import events
from mmtf.serving import signatures
from mmtf.serving.requests import PRESENT
from mmtf.verbs import evaluate, export, train

NAMES = ("left", "right")
EXAMPLES, BATCH, EPOCH, STEPS = 70, 16, 2, 4
SHORT = TrainConfig(batch_size=BATCH, steps=STEPS, steps_per_epoch=EPOCH, steps_per_execution=1, panels_every=0, strategy="one")
# Options of runs, as the registry has them.
CONTRASTIVE = {"contrast": "iwae", "contrast_negatives": 2, "importance_samples": 2}
FEW_SAMPLES = {"importance_samples": 3}
# What a served model answers came through another graph.
SERVED = {"rtol": 1e-4, "atol": 1e-5}
SEED = (3, 4)
SOME = ("encode", "generate", "encode_any", "sample_from_any")


def arrays():
    """Examples some of which lack a modality."""
    values = {n: np.random.default_rng(k).normal(size=(EXAMPLES, 3)) for k, n in enumerate(NAMES)}
    return from_arrays(values, masks={"right": np.arange(EXAMPLES) % 5 > 0})


class RunContract:
    """Attributes: trained: options of the run as the registry has them, where a model has more code than by default."""

    kind: str
    trained: Mapping = {}

    @pytest.fixture(scope="class")
    @classmethod
    def run(cls, tmp_path_factory):
        return train.train(cls.config(), tmp_path_factory.mktemp(cls.kind) / "run", data=arrays())

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, run):
        return evaluate.load_model(run)[0]

    @classmethod
    def config(cls):
        model = ModelConfig(cls.kind, shared_dim=2, private_dim=2, **cls.trained)
        # Beside a contrast also in parts, where sums have been added up in another order after a break.
        microbatch = BATCH // 2 if "contrast" in cls.trained else 0
        return Config(DataConfig("arrays"), model, dataclasses.replace(SHORT, microbatch=microbatch))

    def test_a_run_of_the_catalog_reports_its_terms_and_does_what_models_do(self, run, model):
        scalars = events.read_scalars(run.logs)
        assert set(model.term_modalities()) <= set(scalars)
        assert all(np.all(np.isfinite(scalars[name][1])) for name in model.term_modalities())
        assert scalars["loss"][0] == [EPOCH, STEPS]
        drawn = model.generate(3, (0, 1))
        assert {n: x.shape for n, x in drawn.items()} == dict.fromkeys(NAMES, (3, 3))
        assert list(model.translate({"left": np.asarray(drawn["left"])})) == ["right"]

    def test_a_checkpoint_holds_every_weight_and_all_of_the_optimizer(self, run, model):
        found = saved(run, STEPS)
        assert len(found) == len(model.weights) + 2 * len(model.trainable_variables) + 2
        assert {id(v) for v in model.named_weights().values()} == {id(v) for v in model.weights}
        assert all(np.all(np.isfinite(x)) for x in found.values())
        before = saved(run, EPOCH)
        assert [n for n, x in found.items() if x.size > 1 and np.array_equal(x, before[n])] == []

    def test_a_run_killed_after_its_first_checkpoint_ends_as_the_whole_one(self, run, tmp_path):
        """The optimizer's averages too."""
        cut = shared.copied(run, tmp_path / "cut")
        shutil.rmtree(cut.checkpoints / f"step-{STEPS}")
        train.train(self.config(), cut.path, data=arrays(), resume=True)
        assert_saved_alike(saved(cut), saved(run))


class ExportContract(RunContract):
    """And when it is exported and served."""

    def test_its_export_answers_of_whatever_each_example_has(self, run, model, tmp_path, monkeypatch):
        """By the signatures that differ most between models; each takes its time."""
        verbs_of = signatures.verbs_of
        monkeypatch.setattr(signatures, "verbs_of", lambda model: {name: verbs_of(model)[name] for name in SOME})
        # Named, so that what the signatures work with lives as long as they do.
        served = tf.saved_model.load(str(export.export(run.path, tmp_path)))
        _check_some(model, served.signatures)

    @pytest.mark.slow
    def test_all_of_its_export_answers_as_the_model(self, run, model, tmp_path):
        served = tf.saved_model.load(str(export.export(run.path, tmp_path)))
        ask, seed, (values, asked, mask) = served.signatures, tf.constant(SEED), _incomplete()
        given = {n: tf.constant(x) for n, x in values.items()}
        _check_some(model, ask)
        _assert_close(ask["reconstruct"](**given), model.reconstruct(values))
        _assert_close(ask["reconstruct_any"](**asked), model.reconstruct(values, mask))
        _assert_close(ask["translate_any"](**asked), model.translate(values, NAMES, mask))
        for name in NAMES:
            one, mine = {name: given[name]}, {name: values[name]}
            codes = model.encode(mine)
            private = _moments(codes.private[name], "private_")
            _assert_close(ask[f"encode_{name}"](**one), _moments(codes.shared[name], "shared_") | private)
            _assert_close(ask[f"translate_{name}"](**one), model.translate(mine))
            _assert_close(ask[f"sample_from_{name}"](**one, seed=seed), model.translate(mine, seed=SEED))
        scores = {n: x.numpy() for n, x in ask["score_any"](**asked, n=tf.constant(8), seed=seed).items()}
        for name, other in (NAMES, NAMES[::-1]):
            np.testing.assert_array_equal(scores[f"conditional_{name}"] != 0.0, mask[name])
            # Of one modality that is its likelihood.
            alone = ~mask[other]
            np.testing.assert_allclose(scores[f"conditional_{name}"][alone], scores["log_likelihood"][alone], rtol=1e-6)


def _check_some(model, ask):
    """The answers of `SOME`: examples of each set, NaN in place of what they lack; whole ones; and draws from the prior."""
    values, asked, mask = _incomplete()
    seed = tf.constant(SEED)
    _assert_close(ask["encode_any"](**asked), _moments(model.posterior(values, mask=mask)))
    _assert_close(ask["sample_from_any"](**asked, seed=seed), model.translate(values, NAMES, mask, SEED))
    _assert_close(ask["generate"](n=tf.constant(5), seed=seed), model.generate(5, SEED))
    for name in ("encode", "serving_default"):
        _assert_close(ask[name](**{n: tf.constant(x) for n, x in values.items()}), _moments(model.posterior(values)))


def _incomplete():
    """An example of each set: its values, a request whose gaps are NaN, and the mask."""
    rng, mask = np.random.default_rng(9), {"left": np.array([True, False, True]), "right": np.array([False, True, True])}
    values = {n: rng.normal(size=(3, 3)).astype(np.float32) for n in NAMES}
    filled = {n: tf.constant(np.where(mask[n][:, None], x, np.float32(np.nan))) for n, x in values.items()}
    return values, filled | {PRESENT.format(n): tf.constant(m) for n, m in mask.items()}, mask


def _moments(q, prefix=""):
    return {f"{prefix}mean": q.mean(), f"{prefix}stddev": q.stddev()}


def _assert_close(found, wanted):
    assert set(found) == set(wanted)
    for name, x in wanted.items():
        np.testing.assert_allclose(found[name], x, err_msg=name, **SERVED)
