"""The game itself: who moves in whose turn, what needs pairs, what the average is, and that sharing work changes nothing."""

import games
import keras
import numpy as np
import pytest
import tensorflow as tf
import toys
from toys import ROUNDING, FixedNoise

from mmtf import distribution, runtime
from mmtf.errors import UserError
from mmtf.gan import objective
from mmtf.gan.model import GameWeights
from mmtf.networks.spectral import leaky

N = 8


def compiled(model, generators=0.1, discriminators=0.1):
    model.compile(optimizer=keras.optimizers.SGD(generators), discriminator_optimizer=keras.optimizers.SGD(discriminators))
    for name, variables in model.learned().items():
        getattr(model, name).build(variables)
    return model


def state(model):
    return {name: np.asarray(v) for name, v in model.named_weights().items()}


def moved(before, after):
    return {name for name, x in before.items() if not np.array_equal(x, after[name])}


@pytest.fixture(params=games.KINDS)
def kind(request):
    return request.param


def test_every_weight_has_a_name_and_one_owner(kind):
    model = games.model(kind)
    learned = [v for variables in model.learned().values() for v in variables]
    assert len({id(v) for v in learned}) == len(learned)
    directions = [name for name in model.named_weights() if name.endswith("direction")]
    assert len(model.named_weights()) == len(learned) + len(model.coders.weights) + len(directions)
    assert len(model.coders.weights) == len(model.players.trainable_variables) == 3 * (2 + 2 + 2)
    assert {id(v) for v in model.named_weights().values()} == {id(v) for v in model.weights if v is not None} - {
        id(v) for v in model.term_means.variables
    }


def test_in_their_turn_discriminators_move_alone(kind):
    model = compiled(games.model(kind), generators=0.0)
    before = state(model)
    model.train_step(games.data(model))
    found = moved(before, state(model))
    assert found
    assert all(name.startswith("discriminator.") for name in found)
    kernels = {name for name in before if name.startswith("discriminator.") and name.endswith("kernel")}
    assert kernels <= found


def test_in_their_turn_generators_move_alone(kind):
    model = compiled(games.model(kind, average_start=100), discriminators=0.0)
    before = state(model)
    model.train_step(games.data(model))
    found = moved(before, state(model))
    # The power iteration of the discriminators' turn goes on; it is no learning.
    rest = {name for name in found if not name.endswith("direction")}
    assert {name.split(".")[0] for name in rest} == {"player", "encoder", "head", "decoder"}
    assert {name for name in before if name.startswith("player.") and name.endswith("kernel")} <= rest


def test_the_average_follows_at_first_and_then_lags():
    """Start 1, decay 0.75: after the first step it is the player, after the second a quarter of the way on."""
    model = compiled(games.model())
    key, average = "player.encoder.vector.0.kernel", "encoder.vector.0.kernel"
    model.train_step(games.data(model, seed=0))
    first = state(model)
    np.testing.assert_array_equal(first[average], first[key])
    model.train_step(games.data(model, seed=1))
    second = state(model)
    np.testing.assert_allclose(second[average], 0.75 * first[key] + 0.25 * second[key], rtol=1e-5)
    assert not np.array_equal(second[average], second[key])


def test_verbs_use_the_average():
    model, values = games.model(), toys.values(5)
    before = model.encode(values).shared["vector"].loc.numpy(), model.generate(4)["image"]
    for variable in model.players.trainable_variables:
        variable.assign_add(tf.ones_like(variable))
    np.testing.assert_allclose(model.encode(values).shared["vector"].loc, before[0], **ROUNDING)
    np.testing.assert_allclose(model.generate(4)["image"], before[1], **ROUNDING)
    model.coders.decoders["image"].layers[0].bias.assign_add(np.full(4, 0.5, np.float32))
    np.testing.assert_allclose(model.generate(4)["image"], before[1] + 0.5, rtol=1e-5)


def test_the_unimodal_game_needs_no_pairs():
    """What is beside a single value in another modality changes none of its terms, and no pairing exists in them."""
    model = games.model(weights=GameWeights(unimodal=0.5))
    paired, single = toys.values(N), toys.values(N, seed=7)
    other = single | {"image": toys.values(N, seed=9)["image"][::-1].copy()}
    found = [
        {turn: model._turn(turn, paired, alone, FixedNoise(N), advance=False) for turn in ("discriminators", "generators")}
        for alone in (single, other)
    ]
    for turn, terms in found[0].items():
        for name, term in terms.items():
            same = np.allclose(term, found[1][turn][name], **ROUNDING)
            assert same == (not ("single" in name and "image" in name) and not name.endswith("/loss")), name


def naive_score(critic, x, z):
    """A pair critic without any sharing: concatenated features, normalised kernels, layer after layer."""
    for layer in critic.value_tower:
        x = leaky(layer(x))
    for layer in critic.code_tower:
        z = leaky(layer(z))
    both = tf.concat([tf.reshape(x, [len(x), -1]), z], -1)
    for layer in critic.trunk[:-1]:
        both = leaky(layer(both))
    return critic.trunk[-1](both)


def naive_dependence(critic, x):
    parts = []
    for name, tower in critic.towers.items():
        h = x[name]
        for layer in tower:
            h = leaky(layer(h))
        parts.append(h)
    both = tf.concat(parts, -1)
    for layer in critic.trunk[:-1]:
        both = leaky(layer(both))
    return critic.trunk[-1](both)[:, 0]


@pytest.mark.parametrize("form", ["classes", "binary"])
def test_shared_work_changes_no_logit(form):
    """Against one plain pass through each network per kind of tuples."""
    model, noise = games.model(form), FixedNoise(N)
    real, _ = model._encoded(toys.values(N), noise, "a")
    fake = model._generated(real, noise, "a")
    logits, _ = model.joint_logits(real, fake, None, None)
    networks = model.discriminators
    for kind, of in enumerate([*model.names, None]):
        source = real if of else fake
        b, d = [], []
        for name in model.names:
            z = tf.concat([source.private[name], source.shared[of or name]], -1)
            b.append(naive_score(networks[f"content.{name}"], source.x[name], z)[:, 0])
            out = naive_score(networks[f"alignment.{name}"], source.x[name], z)
            d.append(out[:, 0] - out[:, 1] if form == "classes" else out[:, 0])
        expected = objective.factorized_logits(naive_dependence(networks["dependence"], source.x), b, d)
        np.testing.assert_allclose(logits[kind], expected, rtol=1e-4, atol=1e-5)


def test_the_joint_discriminator_sees_the_tuples_of_eq_4():
    model, noise = games.model("joint"), FixedNoise(N)
    real, _ = model._encoded(toys.values(N), noise, "a")
    fake = model._generated(real, noise, "a")
    critic = model.discriminators["joint"]
    logits = model.joint_logits(real, fake, advance=False)
    for kind, (source, of) in enumerate([*((real, n) for n in model.names), (fake, "vector")]):
        parts = []
        for name, tower in critic.towers.items():
            h = source.x[name]
            for layer in tower:
                h = leaky(layer(h))
            parts.append(h)
        z = tf.concat([*(source.private[n] for n in model.names), source.shared[of]], -1)
        for layer in critic.code_tower:
            z = leaky(layer(z))
        both = tf.concat([*parts, z], -1)
        expected = critic.trunk[1](leaky(critic.trunk[0](both)))
        np.testing.assert_allclose(logits[kind], expected, rtol=1e-4, atol=1e-5)


def test_generated_tuples_share_one_content_code():
    model = games.model()
    real, _ = model._encoded(toys.values(N), FixedNoise(N), "a")
    fake = model._generated(real, FixedNoise(N), "a")
    assert fake.shared["vector"] is fake.shared["image"]
    assert not np.array_equal(real.shared["vector"], real.shared["image"])
    assert not np.array_equal(fake.private["vector"], fake.private["image"])
    decoded = model.players.decode("image", fake.shared["image"], fake.private["image"])
    np.testing.assert_allclose(decoded, fake.x["image"], **ROUNDING)


def test_losses_are_the_sums_of_their_sides(kind):
    model = games.model(kind)
    terms = model.terms(toys.values(N), None, FixedNoise(N), 0)
    for side in ("discriminator", "generator"):
        parts = [np.asarray(x) for name, x in terms.items() if name.startswith(side) and not name.endswith("/loss")]
        np.testing.assert_allclose(terms[f"{side}/loss"], sum(parts), rtol=1e-5)
    assert list(terms) == list(model.terms_about())
    np.testing.assert_array_equal(terms["loss"], terms["generator/loss"])


@pytest.mark.parametrize("joint", [False, True])
def test_regularisers_are_squared_errors_of_there_and_back(joint):
    weights = GameWeights(unimodal=0.0, reconstruction=0.5, content=0.4, style=0.2, joint_reconstruction=joint)
    model, noise, values = games.model(weights=weights), FixedNoise(N), toys.values(N)
    terms = model.terms(values, None, noise, 0)
    real, posteriors = model._encoded(values, noise, "generators/paired")
    fake = model._generated(real, noise, "generators/paired")
    for name in model.names:
        shared = model._joint(posteriors, noise, "rebuilt")[name] if joint else real.shared[name]
        rebuilt = model.players.decode(name, shared, real.private[name])
        expected = 0.5 * np.mean(np.asarray(rebuilt - real.x[name]).reshape(N, -1) ** 2, -1)
        np.testing.assert_allclose(terms[f"generator/reconstruction/{name}"], expected, rtol=1e-4)
    again = model.players.encode(fake.x)
    if joint:
        precision = np.mean([1 / np.asarray(q.stddev()) ** 2 for q in again.shared.values()], axis=0)
        mean = np.mean([np.asarray(q.loc / q.stddev() ** 2) for q in again.shared.values()], axis=0) / precision
        back = mean + noise.normal("again/joint/all", 3) / np.sqrt(precision)
        expected = 0.4 * np.mean((back - fake.shared["image"]) ** 2, -1)
        np.testing.assert_allclose(terms["generator/content"], expected, rtol=1e-4)
    q = again.private["text"]
    back = q.loc + q.stddev() * noise.normal("again/private/text", 2)
    expected = 0.2 * np.mean((back - fake.private["text"]) ** 2, -1)
    np.testing.assert_allclose(terms["generator/style/text"], expected, rtol=1e-4)


def test_a_modality_by_itself_is_rebuilt_without_pairs():
    model = games.model(weights=GameWeights(unimodal=0.5, reconstruction=0.5))
    paired, noise = toys.values(N), FixedNoise(N)
    found = [
        model._turn("generators", batch, toys.values(N, seed=7), noise, advance=False)["generator/reconstruction/image"]
        for batch in (paired, {n: x[::-1].copy() for n, x in paired.items()})
    ]
    np.testing.assert_allclose(*found, **ROUNDING)


def test_terms_of_incomplete_examples_are_nothing_and_change_nothing(kind):
    model, values, noise = games.model(kind), toys.values(N), FixedNoise(N)
    mask = {n: np.ones(N, bool) for n in values}
    mask["image"][[2, 5]] = False
    whole = mask["image"]
    terms = model.terms(
        {n: np.where(mask[n].reshape(-1, *[1] * (x.ndim - 1)), x, 0) for n, x in values.items()}, mask, noise, 0
    )

    class Kept:
        def normal(self, stream, dim):
            return noise.normal(stream, dim)[whole]

    alone = model.terms({n: x[whole] for n, x in values.items()}, None, Kept(), 0)
    for name, term in terms.items():
        assert not np.any(np.asarray(term)[~whole])
        np.testing.assert_allclose(np.asarray(term)[whole], alone[name], rtol=1e-5, atol=1e-6)


def test_a_step_reports_every_term_once(kind):
    model = compiled(games.model(kind))
    logs = model.train_step(games.data(model))
    assert set(logs) == set(model.reported())
    assert all(np.isfinite(float(x)) for x in logs.values())
    assert float(logs["gradient_norm/generators"]) > 0
    assert min(float(x) for name, x in logs.items() if name.startswith("accuracy")) >= 0


def test_the_step_compiles(kind):
    model = compiled(games.model(kind, count=2))
    data = tf.nest.map_structure(tf.convert_to_tensor, games.data(model))
    logs = tf.function(model.train_step, jit_compile=True)(data)
    assert all(np.isfinite(float(x)) for x in logs.values())


def train(kind, strategy_name, per_execution=1, steps=2, inside=False):
    strategy = distribution.make_strategy(strategy_name)
    with strategy.scope():
        model = compiled(games.model(kind, count=2))
        model.compiles_inside = inside
        model.compile(
            optimizer=model.optimizer,
            discriminator_optimizer=model.discriminator_optimizer,
            jit_compile=False,
            steps_per_execution=per_execution,
        )
    batches = [games.data(model, 8, seed=s) for s in range(steps)]
    signature = tf.nest.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), batches[0])
    found = tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=signature)
    history = model.fit(found, steps_per_epoch=steps, epochs=1, shuffle=False, verbose=0)
    return state(model), {k: v[-1] for k, v in history.history.items()}


def test_two_replicas_play_as_one(kind):
    one, two = train(kind, "one"), train(kind, "mirrored", per_execution=2)
    start = state(games.model(kind, count=2))
    assert any(not np.allclose(start[n], one[0][n], atol=1e-4) for n in start)
    for name, weight in one[0].items():
        np.testing.assert_allclose(two[0][name], weight, rtol=1e-4, atol=1e-5, err_msg=name)
    for name, term in one[1].items():
        np.testing.assert_allclose(two[1][name], term, rtol=1e-3, atol=1e-5, err_msg=name)


def test_losses_and_gradients_by_xla_are_the_same(monkeypatch):
    """As on several accelerators; the spectral norms' directions move on as they do without it."""
    monkeypatch.setattr(runtime, "Noise", toys.TableNoise)
    plain, inside = (train("binary", "mirrored", inside=i) for i in (False, True))
    for one, other in zip(plain, inside, strict=True):
        for name, value in one.items():
            np.testing.assert_allclose(other[name], value, rtol=1e-3, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 1}, "several modalities; 1 was given"),
        ({"private": 0}, "needs a private code"),
        ({"subset_posterior": "harmonic"}, "geometric, arithmetic, product"),
        ({"alignment_form": "both"}, "classes, binary"),
    ],
)
def test_what_a_game_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        games.model(**options)


def test_a_joint_discriminator_refuses_the_unimodal_game():
    with pytest.raises(ValueError, match="whole tuples"):
        games.model("joint", weights=GameWeights(unimodal=0.1))


def test_a_likelihood_is_refused_with_the_reason():
    with pytest.raises(UserError, match="no likelihood: its decoders are deterministic"):
        games.model().log_likelihood(None, None, None)


def test_a_product_of_experts_is_allowed_with_a_warning(caplog):
    values = toys.values(4)
    sharp = games.model(subset_posterior="product")
    assert [r.message for r in caplog.records if "product of experts" in r.message]
    wide, mixed = games.model(), games.model(subset_posterior="arithmetic")
    assert np.all(sharp.posterior(values).stddev() < wide.posterior(values).stddev())
    experts = wide.encode(values).shared
    np.testing.assert_allclose(mixed.posterior(values).mean(), sum(q.loc for q in experts.values()) / 3, rtol=1e-5)
    precisions = sum(1 / q.stddev() ** 2 for q in experts.values()) / 3
    np.testing.assert_allclose(wide.posterior(values).stddev(), precisions**-0.5, rtol=1e-5)


def test_encoders_stay_gaussians_however_certain_they_become(kind):
    model, values = games.model(kind), toys.values(4)
    for head in model.coders.heads.values():
        loc, log_variance = model.shared_dim, 2 * model.shared_dim
        head.bias.assign(tf.tensor_scatter_nd_update(head.bias, [[k] for k in range(loc, log_variance)], [-1e4] * loc))
    experts = model.encode(values).shared
    for q in experts.values():
        np.testing.assert_allclose(q.stddev(), 0.01, rtol=1e-3)
        assert np.all(np.isfinite(q.entropy()))
    # None is more certain than another, and each counts alike.
    np.testing.assert_allclose(model.posterior(values).mean(), sum(q.loc for q in experts.values()) / 3, rtol=1e-4, atol=1e-5)
