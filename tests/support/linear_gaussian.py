"""A linear-Gaussian model of three modalities, whose log-likelihoods are known."""

import keras
import numpy as np

from mmtf.data.dataset import Split
from mmtf.modality import Modality
from mmtf.models.vae.jmvae import JMVAE
from mmtf.networks.joint import HIDDEN

SIZE, DIM, OWN, SCALE = 3, 2, 1, 0.7
NAMES = ("one", "two", "three")


def slopes(private):
    """Per modality W of x = (s, c) W + noise, `[private + DIM, SIZE]`."""
    rng = np.random.default_rng(3)
    return {n: rng.normal(size=(private + DIM, SIZE)).astype(np.float32) * 0.8 for n in NAMES}


def model_of(kind, private, **options):
    """Decoders are true; q(c|x_j) has the true mean of p(c|x_j), and is wider by half than its diagonal."""
    modalities = [Modality(n, (SIZE,), "normal", private_dim=private, scale=SCALE) for n in NAMES]

    def encoders():
        return {n: keras.Sequential([keras.Input((SIZE,)), keras.layers.Dense(SIZE)]) for n in NAMES}

    if kind is JMVAE:
        options["joint_encoders"] = encoders()
    decoders = {n: keras.Sequential([keras.Input((private + DIM,)), keras.layers.Dense(SIZE)]) for n in NAMES}
    model = kind(modalities, encoders(), decoders, shared_dim=DIM, beta=1.0, **options)
    for n, w in slopes(private).items():
        model.coders.decoders[n].layers[-1].set_weights([w, np.zeros(SIZE)])
        model.coders.encoders[n].layers[-1].set_weights([np.eye(SIZE), np.zeros(SIZE)])
        covariance = np.linalg.inv(np.eye(private + DIM) + w @ w.T / SCALE**2)
        means, variances = (w.T / SCALE**2) @ covariance, np.diag(covariance)
        # The head's numbers are of the shared code and then of the private one; the decoder's of the private one first.
        order = [*range(private, private + DIM), *range(private)]
        outputs = [(means[:, order[:DIM]], variances[order[:DIM]]), (means[:, order[DIM:]], variances[order[DIM:]])]
        kernel = np.concatenate([np.concatenate([m, 0 * m], axis=1) for m, _ in outputs], axis=1)
        bias = np.concatenate([np.concatenate([0 * v, np.log(1.5 * v)]) for _, v in outputs])
        model.coders.heads[n].set_weights([kernel, bias])
    if kind is JMVAE:
        _make_joint_true(model, private)
    return model


def _make_joint_true(model, private):
    """The joint encoder's q(c|X) too: relu(x) - relu(-x) is x, the first hidden units' and those after them."""
    assert private == 0
    w = np.concatenate([slopes(0)[n] for n in NAMES], axis=1)
    covariance = np.linalg.inv(np.eye(DIM) + w @ w.T / SCALE**2)
    means, width = (w.T / SCALE**2) @ covariance, SIZE * len(NAMES)
    joint = model.joint_encoder
    for n in NAMES:
        joint.encoders[n].layers[-1].set_weights([np.eye(SIZE), np.zeros(SIZE)])
    hidden, head = np.zeros((width, HIDDEN)), np.zeros((HIDDEN, 2 * DIM))
    hidden[:, :width], hidden[:, width : 2 * width] = np.eye(width), -np.eye(width)
    head[:width, :DIM], head[width : 2 * width, :DIM] = means, -means
    joint.hidden.set_weights([hidden, np.zeros(HIDDEN)])
    joint.head.set_weights([head, np.concatenate([np.zeros(DIM), np.log(1.5 * np.diag(covariance))])])


def exact(x, private, names):
    """log p(x_K) of examples `[N, SIZE]` per modality: Gaussian, with the shared code as what they have in common."""
    ws = [slopes(private)[n].astype(float) for n in names]
    shared = np.concatenate([w[private:] for w in ws], axis=1)
    covariance = shared.T @ shared + SCALE**2 * np.eye(SIZE * len(names))
    for k, w in enumerate(ws):
        at = slice(k * SIZE, (k + 1) * SIZE)
        covariance[at, at] += w[:private].T @ w[:private]
    both = np.concatenate([x[n] for n in names], axis=1)
    quadratic = np.einsum("ni,ij,nj->n", both, np.linalg.inv(covariance), both)
    return -0.5 * (quadratic + np.linalg.slogdet(2 * np.pi * covariance)[1])


def drawn(private, count=60):
    rng = np.random.default_rng(4)
    c = rng.normal(size=(count, DIM))
    return {
        n: (np.concatenate([rng.normal(size=(count, private)), c], axis=1) @ w + SCALE * rng.normal(size=(count, SIZE)))
        .astype(np.float32)
        for n, w in slopes(private).items()
    }  # fmt: skip


def split_of(x, mask=None):
    count = len(next(iter(x.values())))
    return Split(x, dict.fromkeys(x, np.arange(count)), None, mask)
