"""The PyTorch peer of MMALI's benchmark and ours have the same losses and gradients of both players, from the same weights."""

import contenders
import numpy as np
import pytest
import tensorflow as tf
from toys import FixedNoise

from mmtf import registry
from mmtf.data import mnist_svhn, pairing, pipeline
from mmtf.models.gan.tuples import block_size, exchanged

torch = pytest.importorskip("torch", reason="PyTorch, the benchmark's peer, is not installed: pip install -e '.[bench]'")
torch_data = pytest.importorskip("torch_data")
torch_mmali = pytest.importorskip("torch_mmali")
pytestmark = pytest.mark.slow

BATCH = 8
PHASES = {"discriminators": "discriminator/loss", "generators": "generator/loss"}


def copy(weights, parameters):
    """Keras `[*window, in, out]` to PyTorch's `[out, in, *window]`; transposed convolutions swap `in` and `out` in both."""
    with torch.no_grad():
        for weight, parameter in zip(weights, parameters, strict=True):
            array = np.asarray(weight)
            if parameter.ndim == 4 and array.ndim == 2:  # ours takes a whole image as one vector, positions before channels
                out, channels, *window = parameter.shape
                array = array.reshape(*window, channels, out)
            array = array.T if array.ndim < 3 else array.transpose(-1, -2, 0, 1)
            parameter.copy_(torch.tensor(array))


def spectral_layers(discriminator):
    """Our layers with normalised kernels in the order of the peer's modules."""
    if hasattr(discriminator, "towers"):
        return [layer for tower in discriminator.towers.values() for layer in tower]
    return [*discriminator.value_tower, *discriminator.code_tower, *discriminator.trunk]


def copy_discriminator(ours, peer):
    """Weights, and the directions in which the largest singular values are."""
    theirs = [module for module in peer.modules() if hasattr(module, "parametrizations")]
    for layer, module in zip(spectral_layers(ours), theirs, strict=True):
        for _ in range(3):
            layer.normalised(advance=True)
        copy([layer.kernel, layer.bias], [module.parametrizations.weight.original, module.bias])
        norm = module.parametrizations.weight[0]
        with torch.no_grad():
            norm._u.copy_(torch.from_numpy(layer.direction.numpy()))
            norm._v.copy_(torch.nn.functional.normalize(module.parametrizations.weight.original.flatten(1).T @ norm._u, dim=0))


def critics(ours, peer):
    """Pairs of ours and the peer's."""
    parts = {"dependence": peer.dependence}
    parts |= {f"content.{n}": peer.content[n] for n in torch_mmali.NAMES}
    parts |= {f"alignment.{n}": peer.alignment[n] for n in torch_mmali.NAMES}
    return {key: (ours.discriminators[key], part) for key, part in parts.items()}


def copy_weights(ours, peer):
    for name in torch_mmali.NAMES:
        generators = ours.generators
        copy([*generators.encoders[name].weights, *generators.heads[name].weights], peer.encoders[name].parameters())
        copy(generators.decoders[name].weights, peer.decoders[name].parameters())
    for ours_one, peer_one in critics(ours, peer).values():
        copy_discriminator(ours_one, peer_one)


def peer_noise(noise, phase):
    """The peer's noise, under the names that ours has for it."""

    def draw(stream):
        return torch.from_numpy(noise.normal(f"{phase}/{stream}", 10))

    def batch(part):
        found = {n: torch.cat([draw(f"{part}/private/{n}"), draw(f"{part}/shared/{n}")], 1) for n in torch_mmali.NAMES}
        found |= {f"prior_{n}": draw(f"{part}/prior/private/{n}") for n in torch_mmali.NAMES}
        order = exchanged(tf.range(BATCH), 1, block_size(2)).numpy()
        return found | {"prior_content": draw(f"{part}/prior/shared"), "order": torch.from_numpy(order).long()}

    back = {n: torch.from_numpy(noise.normal(f"again/private/{n}", 10)) for n in torch_mmali.NAMES}
    back |= {"rebuilt": torch.from_numpy(noise.normal("rebuilt/joint/all", 10))}
    back |= {"content": torch.from_numpy(noise.normal("again/joint/all", 10))}
    return {"paired": batch("paired"), "single": batch("single"), "back": back}


@pytest.fixture(scope="module")
def both():
    """Both models with the same weights, large enough that no part of the losses is nothing."""
    config = contenders.game()
    ours = registry.build_model(config, registry.configure((mnist_svhn.MNIST, mnist_svhn.SVHN), config.model))
    for k, v in enumerate(ours.trainable_variables):  # zero biases would hide a mistake
        scale = 0.1 if v.shape.rank == 1 else 0.05
        v.assign(tf.random.stateless_normal(v.shape, [k, 0], stddev=scale))
    peer = torch_mmali.MMALI().eval()  # in training each call would turn the directions
    copy_weights(ours, peer)
    return ours, peer


@pytest.fixture(scope="module")
def batches():
    rng = np.random.default_rng(0)
    shapes = {"mnist": (28, 28, 1), "svhn": (32, 32, 3)}
    return [{n: rng.integers(0, 256, (BATCH, *shape), np.uint8) for n, shape in shapes.items()} for _ in range(2)]


@pytest.fixture(scope="module", params=PHASES)
def losses(request, both, batches):
    """Of one turn: our loss and gradients by variable, and the peer's loss after its backward pass."""
    phase, (ours, peer) = request.param, both
    noise = FixedNoise(BATCH)
    variables = dict(zip(PHASES, ours.learned().values(), strict=True))[phase]
    with tf.GradientTape() as tape:
        terms = ours._phase_terms(phase, *batches, noise, advance=False)
        loss = tf.reduce_mean(terms[PHASES[phase]])
    gradients = {v.path: g for v, g in zip(variables, tape.gradient(loss, variables), strict=True)}
    peer.zero_grad()
    peer.discriminators.requires_grad_(phase == "discriminators")
    peer.generators.requires_grad_(phase == "generators")
    peer_loss = getattr(peer, f"{phase}_loss")(*map(torch_data.to_torch, batches), peer_noise(noise, phase))
    peer_loss.backward()
    return phase, float(loss), gradients, peer_loss.item()


def test_the_adversarial_model_is_that_of_the_paper():
    config = contenders.game()
    model, train = config.model, config.train
    assert (model.model, model.shared_dim, model.private_dim, model.unimodal_weight) == ("mmali", 10, 10, 0.1)
    assert model.reconstruction_weight == model.content_weight == model.style_weight == 0.05
    assert model.joint_reconstruction
    assert (train.batch_size, train.learning_rate, train.adam_beta_1) == (64, 2e-4, 0.5)
    peer = torch_mmali.Game()
    assert (torch_mmali.RATE, torch_mmali.BETAS[0], torch_mmali.DECAY) == (2e-4, 0.5, model.average_decay)
    assert [type(optimizer) for optimizer in peer.optimizers] == [torch.optim.Adam] * 2


def test_same_number_of_parameters(both):
    ours, peer = both
    for player, (variables, parameters) in zip(
        PHASES, zip(ours.learned().values(), (peer.discriminators, peer.generators), strict=True), strict=True
    ):
        wanted = sum(int(np.prod(v.shape)) for v in variables)
        assert sum(p.numel() for p in parameters.parameters()) == wanted, player


def test_same_loss(losses):
    _, loss, _, peer_loss = losses
    assert peer_loss == pytest.approx(loss, rel=1e-4)


def test_same_gradients(both, losses):
    ours, peer = both
    phase, _, gradients, _ = losses
    pairs = []
    if phase == "discriminators":
        for discriminator, theirs in critics(ours, peer).values():
            modules = [m for m in theirs.modules() if hasattr(m, "parametrizations")]
            pairs += [
                pair
                for layer, module in zip(spectral_layers(discriminator), modules, strict=True)
                for pair in ((layer.kernel, module.parametrizations.weight.original), (layer.bias, module.bias))
            ]
    else:
        for name in torch_mmali.NAMES:
            parts = [*ours.generators.encoders[name].weights, *ours.generators.heads[name].weights]
            pairs += zip(parts, peer.encoders[name].parameters(), strict=True)
            pairs += zip(ours.generators.decoders[name].weights, peer.decoders[name].parameters(), strict=True)
    assert len(pairs) == len(gradients)
    for variable, parameter in pairs:
        expected = torch.empty_like(parameter)
        copy([gradients[variable.path]], [expected])
        scale = expected.abs().max()
        assert torch.all((parameter.grad - expected).abs() <= 2e-3 * scale), variable.path


def test_a_peer_adversarial_model_moves_both_players_and_their_average(batches):
    training = torch_mmali.Game()
    values = [torch_data.to_torch(each) for each in batches]
    before = [[p.detach().clone() for p in player.parameters()] for player in (training.model, training.average)]
    losses = training.step([(values[0], values[1])] * 2)
    assert all(torch.isfinite(loss) for loss in losses)
    for old, player in zip(before, (training.model, training.average), strict=True):
        assert all(not torch.equal(p, q) for p, q in zip(old, player.parameters(), strict=True))


def test_a_cached_norm_is_the_same_norm(both, batches):
    _, peer = both
    values, noise = [torch_data.to_torch(each) for each in batches], peer_noise(FixedNoise(BATCH), "discriminators")
    with torch.no_grad():
        plain = peer.discriminators_loss(*values, noise)
        with torch_mmali.parametrize.cached():
            assert peer.discriminators_loss(*values, noise).item() == pytest.approx(plain.item(), rel=1e-5)


def test_both_are_fed_the_same_kind_of_batches():
    rng = np.random.default_rng(0)
    shapes = {"mnist": (40, 28, 28, 1), "svhn": (50, 32, 32, 3)}
    pools = {n: (rng.integers(0, 256, shape, np.uint8), np.arange(shape[0]) % 10) for n, shape in shapes.items()}
    split = pairing.paired_split(pools, 2, rng)
    ours = next(iter(pipeline.phase_batches(split, BATCH, seed=0, first_step=0, num_steps=1, single=True)))
    peer = next(torch_data.phase_batches(split, BATCH, seed=0))
    for phase, (paired, single) in enumerate(peer):
        for part, found in (("values", paired), ("single", single)):
            for name, x in found.items():
                shape = ours[part][name][:, phase].shape
                assert tuple(x.permute(0, 2, 3, 1).shape) == tuple(shape)
                assert 0.9 < float(x.max()) <= 1.0
    # Pairs are of one class, single values are of any.
    digits = {n: {x.tobytes(): label for x, label in zip(*pools[n], strict=True)} for n in pools}

    def classes(images, name):
        return [digits[name][x.tobytes()] for x in images[name].mul(255).round().byte().permute(0, 2, 3, 1).numpy()]

    for paired, single in peer:
        assert classes(paired, "mnist") == classes(paired, "svhn")
        assert classes(single, "mnist") != classes(single, "svhn")
