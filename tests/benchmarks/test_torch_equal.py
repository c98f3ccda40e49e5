"""The PyTorch peer of the benchmark and our mmJSD compute the same loss and the same gradients from the same weights."""

import contenders
import numpy as np
import pytest
import tensorflow as tf

from mmtf import registry
from mmtf.data import digits

torch = pytest.importorskip("torch", reason="PyTorch, the benchmark's peer, is not installed: pip install -e '.[bench]'")
torch_data = pytest.importorskip("torch_data")
torch_mmjsd = pytest.importorskip("torch_mmjsd")
pytestmark = pytest.mark.slow

BATCH = 32


class Thirds:
    """Our noise, chosen as the peer has it: the batch in thirds, in order."""

    def __init__(self, normal):
        self._normal = normal

    def normal(self, stream, dim):
        return self._normal[stream.removeprefix("private/")].numpy()

    def strata(self, stream):
        third = BATCH // 3
        component = np.repeat([0, 1, 2], [third, third, BATCH - 2 * third])
        return tf.constant((component + 0.5) / 3, tf.float32)


def to_torch_layout(kernel):
    """Keras `[*window, in, out]` to PyTorch's `[out, in, *window]`; transposed convolutions swap `in` and `out` in both."""
    return kernel.T if kernel.ndim < 3 else kernel.transpose(-1, -2, *range(kernel.ndim - 2))


def copy_weights(ours, peer):
    for name in torch_mmjsd.NAMES:
        trunk, decoder = ours.coders.encoders[name].weights, ours.coders.decoders[name].weights
        copy(trunk, peer.encoders[name].trunk.parameters())
        copy(decoder, peer.decoders[name].parameters())
        kernel, bias = (w.numpy() for w in ours.coders.heads[name].weights)
        ends = np.cumsum(ours.coders.heads[name].widths)[:-1]
        parts = [p for pair in zip(np.split(kernel, ends, axis=1), np.split(bias, ends), strict=True) for p in pair]
        copy(parts, peer.encoders[name].heads.parameters())


def copy(weights, parameters):
    with torch.no_grad():
        for weight, parameter in zip(weights, parameters, strict=True):
            array = to_torch_layout(np.asarray(weight))
            # A convolution of kernel 1 is a plain matrix in ours (`mmtf.networks.layers.Characters`).
            parameter.copy_(torch.from_numpy(array.reshape(parameter.shape)))


@pytest.fixture(scope="module")
def both():
    """Both models with the same weights; the same batch and noise for each."""
    config = contenders.experiment(BATCH)
    data = digits.load(pairings=1, scenes_per_digit=1)
    ours = registry.build_model(config, registry.configure(data.modalities, config.model))
    for i, bias in enumerate(v for v in ours.trainable_variables if v.shape.rank == 1):  # zeros would hide a mistake
        bias.assign(tf.random.stateless_normal(bias.shape, [i, 0], stddev=0.1))
    peer = torch_mmjsd.MMJSD()
    copy_weights(ours, peer)
    values = data.train.take(np.arange(BATCH) * 7)
    noise = torch_mmjsd.draw_noise(BATCH)
    return ours, peer, values, noise


def test_same_number_of_parameters(both):
    ours, peer, *_ = both
    assert sum(p.numel() for p in peer.parameters()) == ours.count_params()


def test_same_loss_and_gradients(both):
    ours, peer, values, noise = both
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(ours.terms(values, None, Thirds(noise), 0)["loss"])
    gradients = tape.gradient(loss, ours.trainable_variables)

    peer_loss = peer.loss(torch_data.to_torch(values), noise)
    peer_loss.backward()

    assert peer_loss.item() == pytest.approx(float(loss), rel=1e-4)
    norm = float(tf.linalg.global_norm(gradients))
    peer_norm = float(torch.stack([p.grad.square().sum() for p in peer.parameters()]).sum().sqrt())
    assert peer_norm == pytest.approx(norm, rel=1e-3)


def test_a_peer_step_lowers_its_loss(both):
    _, peer, values, noise = both
    batch = torch_data.to_torch(values)
    optimizer = torch.optim.Adam(peer.parameters(), lr=1e-3)
    before = peer.loss(batch, noise).item()
    for _ in range(5):
        torch_mmjsd.train_step(peer, optimizer, batch)
    assert peer.loss(batch, noise).item() < 0.98 * before
