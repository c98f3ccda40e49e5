"""What every adversarial model keeps to: its test module has a subclass of `AdversarialContract` that says how it is made."""

import adversarial_toys
import numpy as np
import pytest
import tensorflow as tf
import toys
from eager import eagerly
from small_runs import assert_alike
from toys import ROUNDING, FixedNoise

from mmtf import registry
from mmtf.config import Config, DataConfig, ModelConfig, TrainConfig
from mmtf.data import from_arrays, pipeline
from mmtf.data.dataset import Split
from mmtf.distributed import replicas, strategies
from mmtf.models.gan.base import PHASES
from mmtf.runs import RunDirectory
from mmtf.runs.checkpoint import STATE
from mmtf.serving import signatures
from mmtf.training import monitor
from mmtf.verbs import evaluate, export, train

N = 8
LEARNED, REGULARISERS = ("kernel", "bias"), ("reconstruction", "content", "style")
# A checkpoint ends each of two steps. The average lags from the first one on.
SHORT = TrainConfig(
    batch_size=8, steps=2, steps_per_epoch=1, steps_per_execution=1, panels_every=0, strategy="one", learning_rate=0.01, seed=3
)
AVERAGE = {"average_start": 0, "average_decay": 0.5}


class Once(FixedNoise):
    """Noise that nobody may ask twice for the same draw."""

    def normal(self, stream, dim):
        assert stream not in self.drawn, f"two draws share the stream {stream}"
        return super().normal(stream, dim)


class AdversarialContract:
    """Attributes:
    kind: of `adversarial_toys.KINDS`: the model on the toys' modalities.
    """

    kind: str

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls):
        """Only read."""
        return adversarial_toys.model(cls.kind)

    @pytest.fixture(scope="class")
    @classmethod
    def noise(cls):
        return Once(N)

    @pytest.fixture(scope="class")
    @classmethod
    def terms(cls, model, noise):
        """Of `toys.values(N)`, under that noise."""
        found = model.terms(toys.values(N), None, noise, 0)
        return {name: np.asarray(x) for name, x in found.items()}

    # ---- terms -----------------------------------------------------------------------------------------------------

    def test_every_weight_has_a_name_and_one_owner(self, model):
        learned = [v for variables in model.learned().values() for v in variables]
        assert len({id(v) for v in learned}) == len(learned)
        directions = [name for name in model.named_weights() if name.endswith("direction")]
        assert len(model.named_weights()) == len(learned) + len(model.coders.weights) + len(directions)
        assert len(model.coders.weights) == len(model.generators.trainable_variables) == 3 * (2 + 2 + 2)
        assert {id(v) for v in model.named_weights().values()} == {id(v) for v in model.weights if v is not None} - {
            id(v) for v in model.term_means.variables
        }

    def test_losses_are_the_sums_of_their_sides(self, model, terms):
        for side in ("discriminator", "generator"):
            parts = [x for name, x in terms.items() if name.startswith(side) and not name.endswith("/loss")]
            np.testing.assert_allclose(terms[f"{side}/loss"], sum(parts), rtol=1e-5)
        assert list(terms) == list(model.term_modalities())
        assert all(x.shape == (N,) and np.isfinite(x).all() for x in terms.values())
        np.testing.assert_array_equal(terms["loss"], terms["generator/loss"])

    def test_values_may_come_in_any_order(self, model, noise, terms):
        values = dict(reversed(toys.values(N).items()))
        for name, term in model.terms(values, None, noise.at(np.arange(N)), 0).items():
            np.testing.assert_allclose(term, terms[name], **ROUNDING, err_msg=name)

    def test_examples_may_stand_anywhere(self, model, noise, terms):
        """Torn tuples are of neighbours: what has none keeps its terms in any order, and all terms stay if blocks move."""
        blocks, order = np.roll(np.arange(N), 4), np.random.default_rng(1).permutation(N)
        for rows, kept in ((blocks, tuple(terms)), (order, tuple(n for n in terms if n.startswith(("generator", "entropy"))))):
            found = model.terms({n: x[rows] for n, x in toys.values(N).items()}, None, noise.at(rows), 0)
            for name in kept:
                np.testing.assert_allclose(found[name], terms[name][rows], **ROUNDING, err_msg=name)

    def test_incomplete_examples_have_no_terms_and_change_none(self, model, noise, terms):
        values, mask = toys.values(N), {n: np.ones(N, bool) for n in model.names}
        mask["image"][[2, 5]] = False
        whole = mask["image"]
        values["image"] = np.where(whole[:, None, None, None], values["image"], np.nan)
        found = model.terms(values, mask, noise.at(np.arange(N)), 0)
        alone = model.terms({n: x[whole] for n, x in values.items()}, None, noise.at(np.flatnonzero(whole)), 0)
        for name, term in found.items():
            assert not np.any(np.asarray(term)[~whole])
            np.testing.assert_allclose(np.asarray(term)[whole], alone[name], rtol=1e-5, atol=1e-6, err_msg=name)
        assert set(found) == set(terms)

    # ---- a step ----------------------------------------------------------------------------------------------------

    @pytest.fixture(scope="class")
    @classmethod
    def player(cls):
        """A smaller model that every test begins with anew, and its weights at the beginning."""
        model = adversarial_toys.compiled(adversarial_toys.model(cls.kind, count=2, average_start=100))
        return model, adversarial_toys.state(model)

    @staticmethod
    def _played(player, generators=0.1, discriminators=0.1, other_values=None):
        """Weights after a step at these rates, on the same data, but in one of the turns on request."""
        model, start = player
        for name, variable in model.named_weights().items():
            variable.assign(start[name])
        for optimizer, rate in ((model.optimizer, generators), (model.discriminator_optimizer, discriminators)):
            optimizer.learning_rate.assign(rate)
            # Noise is that of the step.
            optimizer.iterations.assign(0)
        data, other = (adversarial_toys.data(model, N, seed=seed) for seed in (0, 7))
        if other_values:
            for part, values in data.items():
                for name, x in values.items():
                    x[:, PHASES.index(other_values)] = other[part][name][:, PHASES.index(other_values)]
        model.train_step(data)
        return adversarial_toys.state(model)

    def test_in_their_turn_discriminators_move_alone_by_values_of_their_own(self, player):
        after, same = (self._played(player, generators=0.0, other_values=values) for values in (None, "generators"))
        found = adversarial_toys.moved(player[1], after)
        assert all(name.startswith("discriminator.") for name in found)
        assert {name for name in after if name.startswith("discriminator.") and name.endswith("kernel")} <= found
        for name in found:
            np.testing.assert_allclose(same[name], after[name], rtol=1e-6, atol=1e-7, err_msg=name)

    def test_in_their_turn_generators_move_alone_by_values_of_their_own(self, player):
        after, same = (self._played(player, discriminators=0.0, other_values=values) for values in (None, "discriminators"))
        # The power iteration of the discriminators' turn goes on; it is no learning.
        found = {name for name in adversarial_toys.moved(player[1], after) if not name.endswith("direction")}
        # Before its start the average follows.
        assert {name.split(".")[0] for name in found} == {"player", "encoder", "head", "decoder"}
        assert {name for name in after if name.startswith("player.") and name.endswith("kernel")} <= found
        for name in found:
            np.testing.assert_allclose(same[name], after[name], rtol=1e-6, atol=1e-7, err_msg=name)

    def test_a_step_reports_every_term_makes_one_power_iteration_and_has_noise_of_its_own(self):
        """Nothing learns here, so that the second step is the first one with other noise."""
        model = adversarial_toys.compiled(adversarial_toys.model(self.kind, count=2), generators=0.0, discriminators=0.0)
        before, data, found = adversarial_toys.state(model), adversarial_toys.data(model), []
        for _ in range(2):
            found.append({name: float(x) for name, x in model.train_step(data).items()})
            model.reset_metrics()
        after = adversarial_toys.state(model)
        for logs in found:
            assert set(logs) == set(model.reported())
            assert all(np.isfinite(x) for x in logs.values())
            assert min(logs[f"gradient_norm/{phase}"] for phase in PHASES) > 0
            assert all(0 <= x <= 1 for name, x in logs.items() if name.startswith("accuracy"))
        regularisers = [name for name in found[0] if name.startswith(tuple(f"generator/{kind}" for kind in REGULARISERS))]
        assert regularisers
        assert all(abs(found[0][name] - found[1][name]) > 1e-4 * abs(found[0][name]) for name in regularisers)
        assert not [name for name in adversarial_toys.moved(before, after) if name.endswith(LEARNED)]
        kernels, directions = ([n for n in before if n.startswith("disc") and n.endswith(e)] for e in ("kernel", "direction"))
        for kernel, direction in zip(kernels, directions, strict=True):
            matrix, expected = before[kernel].reshape(-1, before[kernel].shape[-1]).astype(float), before[direction]
            for _ in range(2):
                expected = matrix.T @ (matrix @ expected)
                expected = expected / np.linalg.norm(expected)
            np.testing.assert_allclose(after[direction], expected, rtol=1e-4, atol=1e-5, err_msg=direction)

    @pytest.mark.slow
    def test_the_graph_of_two_replicas_plays_as_one(self):
        with eagerly():
            one = fitted(self.kind, "one")
        check_equal(one, fitted(self.kind, "mirrored", per_execution=2))

    @pytest.mark.slow
    def test_the_step_compiles(self):
        model = adversarial_toys.compiled(adversarial_toys.model(self.kind, count=2))
        data = tf.nest.map_structure(tf.convert_to_tensor, adversarial_toys.data(model))
        logs = tf.function(model.train_step, jit_compile=True)(data)
        assert all(np.isfinite(float(x)) for x in logs.values())


class TrainedAdversarialContract(AdversarialContract):
    """The same, and what becomes of the game in whole runs.

    Attributes:
      options: of `ModelConfig`: the same kind of model as a run has it.
    """

    options: dict

    def test_two_replicas_play_as_one(self):
        """Of examples in a stream that both share: discriminators, players, average, directions and what is reported."""
        with eagerly():
            one, two = fitted(self.kind, "one"), fitted(self.kind, "mirrored")
        check_equal(one, two)
        start = adversarial_toys.state(adversarial_toys.model(self.kind, count=2))
        assert any(not np.allclose(start[name], one[0][name], atol=1e-3) for name in start)

    @pytest.fixture(scope="class")
    @classmethod
    def config(cls):
        return Config(DataConfig("arrays"), ModelConfig(shared_dim=2, private_dim=2, **AVERAGE | cls.options), SHORT)

    @pytest.fixture(scope="class")
    @classmethod
    def data(cls):
        """Sixty examples, of which ten lack a modality."""
        rng = np.random.default_rng(0)
        values = {name: rng.normal(size=(60, 3)) for name in "ab"}
        return from_arrays(values, masks={"a": np.arange(60) >= 10})

    @pytest.fixture(scope="class")
    @classmethod
    def run(cls, config, data, tmp_path_factory):
        with eagerly():
            return train.train(config, tmp_path_factory.mktemp("runs") / "whole", data=data)

    @pytest.fixture(scope="class")
    @classmethod
    def trained(cls, run):
        return evaluate.load_model(run)[0]

    def test_a_run_killed_between_checkpoints_goes_on_as_if_nothing_had_happened(
        self, config, data, run, tmp_path, monkeypatch
    ):
        """Both players, both optimizers, the average, which has started before the break, and the spectral directions."""

        def power_cut(callback, batch, logs=None):
            if replicas.step_of(callback.model.optimizer) == 2:
                raise KeyboardInterrupt

        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt), eagerly():
            patched.setattr(monitor.Scalars, "on_train_batch_end", power_cut)
            train.train(config, tmp_path / "cut", data=data)
        cut = RunDirectory.open(tmp_path / "cut")
        assert evaluate.load_model(cut)[1] == 1
        with eagerly():
            train.train(config, cut.path, data=data, resume=True)
        assert_alike(run, cut)

    def test_a_checkpoint_has_every_variable(self, config, run, trained):
        reader = tf.train.load_checkpoint(str(run.checkpoints / "step-2" / STATE))
        saved = [name for name in reader.get_variable_to_shape_map() if name.startswith("variables/")]
        learned = trained.learned()
        # Adam's two averages of each, its step and its rate.
        assert len(saved) == len(trained.named_weights()) + sum(2 * len(variables) + 2 for variables in learned.values())
        fresh = adversarial_toys.state(registry.build_model(config, run.modalities()))
        assert {name for name in fresh if name.endswith("kernel")} <= adversarial_toys.moved(
            fresh, adversarial_toys.state(trained)
        )

    def test_the_average_is_not_the_player_any_more_and_is_what_the_verbs_use(self, trained):
        weights = adversarial_toys.state(trained)
        averages = [name for name in weights if f"player.{name}" in weights]
        assert averages
        assert all(not np.array_equal(weights[name], weights[f"player.{name}"]) for name in averages)
        assert set(trained.served_weights()) == set(averages)

    def test_the_config_says_the_weights(self, config, trained):
        model = config.model
        for kind in REGULARISERS:
            assert getattr(trained.loss_weights, kind) == getattr(model, f"{kind}_weight")
        assert trained.loss_weights.unimodal == (model.unimodal_weight if model.model == "mmali" else 0)
        assert trained.loss_weights.joint_reconstruction == model.joint_reconstruction
        assert (trained.average_decay, trained.average_start) == (model.average_decay, model.average_start)
        assert trained.subset_posterior == model.subset_posterior
        if model.model == "mmali":
            assert trained.with_classes == (model.alignment_form == "classes")

    def test_an_export_answers_as_the_model_does(self, run, trained, data, tmp_path, monkeypatch):
        """By some of its signatures, since to build them all takes seconds; tests/serving is about the rest."""
        verbs_of, some = signatures.verbs_of, ("encode", "generate", "translate_a", "sample_from_b")
        assert not [name for name in verbs_of(trained) if name.startswith("score")]
        monkeypatch.setattr(signatures, "verbs_of", lambda model: {name: verbs_of(model)[name] for name in some})
        served = tf.saved_model.load(str(export.export(run.path, tmp_path / "exported"))).signatures
        values = {name: tf.constant(x[:3]) for name, x in data.test.pools.items()}
        drawn, seed = trained.generate(3, (4, 5)), tf.constant([4, 5])
        assert list(drawn) == list("ab")
        for answer, expected in (
            (served["encode"](**values)["mean"], trained.posterior(values).mean()),
            (served["generate"](n=tf.constant(3), seed=seed)["b"], drawn["b"]),
            (served["translate_a"](a=values["a"])["b"], trained.translate({"a": values["a"]})["b"]),
            (served["sample_from_b"](b=values["b"], seed=seed)["a"], trained.translate({"b": values["b"]}, seed=seed)["a"]),
        ):
            np.testing.assert_allclose(answer, expected, **ROUNDING)


def fitted(kind, strategy_name, per_execution=1, steps=2):
    """Weights and reported terms after `fit` on the toys' values, as a run feeds them."""
    strategy = strategies.make_strategy(strategy_name)
    with strategy.scope():
        model = adversarial_toys.compiled(adversarial_toys.model(kind, count=2))
        optimizers = {name: getattr(model, name) for name in model.learned()}
        model.compile(**optimizers, jit_compile=False, steps_per_execution=per_execution)
    pools = toys.values(40, seed=9, count=2)
    split = Split(pools, {n: np.arange(40) for n in pools}, None)

    def batches(*share):
        return pipeline.phase_batches(split, N, 5, 0, steps, single=model.uses_unpaired_values(), share=pipeline.Share(*share))

    found = strategies.per_replica(strategy, batches)
    history = model.fit(found, steps_per_epoch=steps, epochs=1, shuffle=False, verbose=0).history
    return adversarial_toys.state(model), {name: values[-1] for name, values in history.items()}


def check_equal(one, two):
    """Weights, and reported terms, of two who played alike."""
    for tolerance, found, wanted in zip((1e-4, 1e-3), two, one, strict=True):
        for name, x in wanted.items():
            np.testing.assert_allclose(found[name], x, rtol=tolerance, atol=1e-5, err_msg=name)
