"""mmJSD's loss with the paper's own networks, on real examples, against a computation in NumPy from the pixels to the loss."""

import numpy as np
import oracles
import oracles_conv as layers
from toys import FixedNoise

from mmtf import registry
from mmtf.config import Config, ModelConfig
from mmtf.data import digits

N, SHARED, PRIVATE = 6, 16, 4
CONFIG = Config(model=ModelConfig(shared_dim=SHARED, private_dim=PRIVATE, private_beta=3.0, private_weights="word=5"))


def w(network, layer):
    """Kernel and bias of the k-th layer with weights, in float64."""
    weights = [v.numpy().astype(float) for v in network.weights]
    return weights[2 * layer], weights[2 * layer + 1]


def encode(model, name, x):
    """[S] Tables 5 to 7, the encoders: values to features to the four parts of the head."""
    net = model.coders.encoders[name]
    if name == "digit":
        y = layers.relu(layers.dense(x.reshape(N, -1) / 255.0, *w(net, 0)))
    elif name == "scene":
        y = x / 255.0
        for k, padding in enumerate((1, 1, 1, 0)):
            y = layers.relu(layers.conv(y, *w(net, k), stride=2, padding=padding))
    else:
        y = layers.relu(layers.dense(np.eye(71)[x], *w(net, 0)))
        for k, padding in ((1, 1), (2, 0)):
            y = layers.relu(layers.conv(y, *w(net, k), stride=2, padding=padding))
    head = layers.dense(y.reshape(N, -1), *(v.numpy().astype(float) for v in model.coders.heads[name].weights))
    m_c, v_c, m_s, v_s = np.split(head, [SHARED, 2 * SHARED, 2 * SHARED + PRIVATE], axis=1)
    return (m_c, np.exp(v_c / 2)), (m_s, np.exp(v_s / 2))


def decode(model, name, code):
    """[S] Tables 5 to 7, the decoders."""
    net = model.coders.decoders[name]
    y = layers.relu(layers.dense(code, *w(net, 0)))
    if name == "digit":
        return layers.sigmoid(layers.dense(y, *w(net, 1))).reshape(N, 28, 28, 1)
    if name == "scene":
        y = y[:, None, None]
        for k, padding in enumerate((0, 1, 1, 1), start=1):
            y = layers.conv_transposed(y, *w(net, k), stride=2, padding=padding)
            y = layers.relu(y) if k < 4 else y
        return y
    y = layers.relu(layers.conv_transposed(y[:, None], *w(net, 1), stride=1, padding=0))
    y = layers.relu(layers.conv_transposed(y, *w(net, 2), stride=2, padding=1))
    return layers.conv(y, *w(net, 3), stride=1, padding=0)


def log_likelihood(name, parameters, x):
    if name == "word":
        log_p = parameters - np.log(np.exp(parameters).sum(axis=-1, keepdims=True))
        return np.take_along_axis(log_p, x[..., None].astype(int), axis=-1).sum(axis=(1, 2))
    return np.sum(-np.abs(x / 255.0 - parameters) / 0.75 - np.log(1.5), axis=(1, 2, 3))


def test_mmjsd_loss_of_the_paper_s_networks_equals_numpy():
    data = digits.load(pairings=1)
    model = registry.build_model(CONFIG, registry.configure(data.modalities, CONFIG.model))
    rng = np.random.default_rng(0)
    for v in model.named_weights().values():
        # Biases start at zero, which would hide a bias that is never added.
        v.assign_add(rng.normal(scale=0.02, size=v.shape).astype(np.float32))
    values, noise = data.train.take(np.arange(N)), FixedNoise(N)
    terms = model.terms(values, None, noise, 0)

    names = list(values)
    shared, private = zip(*(encode(model, n, values[n]) for n in names), strict=True)
    locs, scales = (np.stack(part) for part in zip(*shared, strict=True))
    component = np.floor(noise.strata("component").astype(float) * 3).astype(int)
    c = locs[component, np.arange(N)] + scales[component, np.arange(N)] * noise.normal("shared", SHARED)
    loss, weight = 0.0, {"digit": 3072 / 784, "scene": 1.0, "word": 3072 / 8}
    for name, (m, s) in zip(names, private, strict=True):
        code = np.concatenate([m + s * noise.normal(f"private/{name}", PRIVATE), c], axis=1)
        log_px = log_likelihood(name, decode(model, name, code), values[name])
        np.testing.assert_allclose(terms[f"log_likelihood/{name}"], log_px, rtol=1e-5)
        loss -= weight[name] * log_px
        loss += 5.0 * 3.0 * (5.0 if name == "word" else 1.0) * oracles.kl(m, s, 0.0, 1.0)
    with_prior = np.concatenate([locs, np.zeros_like(locs[:1])]), np.concatenate([scales, np.ones_like(scales[:1])])
    loss += 5.0 * oracles.jensen_shannon(*with_prior, [0.25] * 4)
    np.testing.assert_allclose(terms["loss"], loss, rtol=1e-5)
