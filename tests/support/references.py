"""Parts of the objectives in NumPy: the codes of a model, and its terms by their formulas."""

import numpy as np


def experts(model, values):
    """NumPy locations and scales of the shared and private codes, by modality, and a NumPy-in NumPy-out decoder."""
    codes = model.encode(values)
    shared = {n: (np.float64(q.loc), np.float64(q.stddev())) for n, q in codes.shared.items()}
    private = {n: (np.float64(q.loc), np.float64(q.stddev())) for n, q in codes.private.items()}
    return shared, private


def log_likelihood(modality, parameters, x):
    """log p by its formula, in float64."""
    parameters = np.float64(parameters)
    if modality.likelihood == "categorical":
        log_p = parameters - np.log(np.exp(parameters).sum(axis=-1, keepdims=True))
        terms = np.take_along_axis(log_p, x[..., None].astype(int), axis=-1)[..., 0]
    elif modality.likelihood == "laplace":
        terms = -np.abs(x - parameters) / modality.scale - np.log(2 * modality.scale)
    else:
        terms = -((x - parameters) ** 2) / (2 * modality.scale**2) - np.log(modality.scale * np.sqrt(2 * np.pi))
    return terms.reshape(len(terms), -1).sum(axis=1)


def decoded_log_px(model, values, shared, private_samples, names):
    found = {}
    for name in names:
        code = np.concatenate([private_samples[name], shared], axis=1) if name in private_samples else shared
        found[name] = log_likelihood(model.modalities[name], model.coders.decoders[name](np.float32(code)), values[name])
    return found


def weighted(model, log_px, divergence, kl_private):
    shared_beta, private_beta = (float(b) for b in model.betas.at(0)[:2])
    total = sum(model.modalities[n].likelihood_weight * t for n, t in log_px.items()) - shared_beta * divergence
    return total - private_beta * sum(model.modalities[n].private_weight * t for n, t in kl_private.items())


def draws(noise, stream, dim, samples, family="normal"):
    return getattr(noise, family)(stream, samples * dim).reshape(noise.n, samples, dim).astype(float)


def logmeanexp(x):
    highest = np.max(x, axis=0)
    return highest + np.log(np.mean(np.exp(np.asarray(x) - highest), axis=0))
