"""The losses of the VAEs in NumPy, of complete examples, by the papers' formulas with the weights of [S] C.3.2.

`LOSSES[name]` takes a model, values and the noise of its terms, and returns the loss of each example.
"""

import numpy as np
import oracles
from references import decoded_log_px, draws, experts, logmeanexp, weighted

from mmtf.modality import subsets


def mmjsd(model, values, noise):
    """[S] eq. 18."""
    locs, scales = stacked(experts(model, values)[0])
    pi = model.prior_weight
    with_prior = np.concatenate([locs, np.zeros_like(locs[:1])]), np.concatenate([scales, np.ones_like(scales[:1])])
    divergence = oracles.jensen_shannon(*with_prior, [(1 - pi) / len(locs)] * len(locs) + [pi])
    return -mixture_bound(model, values, noise, locs, scales, divergence)


def mmvae(model, values, noise):
    """[S] eq. 20."""
    return -mean_divergence_bound(model, values, noise, *stacked(experts(model, values)[0]))


def mopoe(model, values, noise):
    names = list(values)
    sets = [[names.index(n) for n in s] for s in subsets(names)]
    return -mean_divergence_bound(model, values, noise, *products(*stacked(experts(model, values)[0]), sets))


def mvae(model, values, noise):
    """[S] eq. 19, of all modalities and of each one alone."""
    names, total = list(values), 0.0
    locs, scales = stacked(experts(model, values)[0])
    s, kl_private = private_codes(model, values, noise)
    bounds = {"joint": names} | ({f"only_{n}": [n] for n in names} if len(names) > 1 else {})
    for bound, members in bounds.items():
        index = [names.index(n) for n in members]
        precision = 1.0 + np.sum(scales[index] ** -2.0, axis=0)
        mean, deviation = np.sum(locs[index] * scales[index] ** -2.0, axis=0) / precision, precision**-0.5
        c = mean + deviation * noise.normal(f"shared/{bound}", model.shared_dim)
        kls = {n: kl_private[n] for n in members if n in kl_private}
        log_px = decoded_log_px(model, values, c, s, members)
        total = total + weighted(model, log_px, oracles.kl(mean, deviation, 0.0, 1.0), kls)
    return -total


def jmvae(model, values, noise):
    joint = model.encode(values).joint
    mean, deviation = np.float64(joint.loc), np.float64(joint.stddev())
    log_px, kl_private, drawn = drawn_experts(model, values, noise, mean, deviation)
    return -weighted(model, log_px, oracles.kl(mean, deviation, 0.0, 1.0), kl_private) + model.alpha * drawn


def mvtcae(model, values, noise):
    count, alpha = len(values), model.alpha
    locs, scales = stacked(experts(model, values)[0])
    precision = np.sum(scales**-2.0, axis=0)
    mean, deviation = np.sum(locs * scales**-2.0, axis=0) / precision, precision**-0.5
    log_px, kl_private, drawn = drawn_experts(model, values, noise, mean, deviation)
    log_px = {n: (count - alpha) / count * term for n, term in log_px.items()}
    bound = weighted(model, log_px, (1 - alpha) * oracles.kl(mean, deviation, 0.0, 1.0), kl_private)
    return -bound + float(model.betas.at(0).shared) * alpha / count * drawn


def mmvae_iw(model, values, noise, **how):
    return -importance_bound(model, values, noise, *experts(model, values), **how)


def mmvae_plus(model, values, noise, **how):
    return -importance_bound(model, values, noise, *experts(model, values), plus=True, **how)


LOSSES = {
    "mmjsd": mmjsd,
    "mmvae": mmvae,
    "mvae": mvae,
    "mopoe": mopoe,
    "jmvae": jmvae,
    "mvtcae": mvtcae,
    "mmvae_iw": mmvae_iw,
    "mmvae_plus": mmvae_plus,
}


# ---- what several of them are made of --------------------------------------------------------------------------------


def stacked(shared):
    """Locations and scales of the experts, `[M, N, D]` each."""
    return tuple(np.stack([q[i] for q in shared.values()]) for i in (0, 1))


def products(locs, scales, sets):
    """Of each set the product of its experts, and of the set of all with the prior."""
    found = []
    for members in sets:
        added = float(len(members) == len(locs))
        precision = added + np.sum(scales[members] ** -2.0, axis=0)
        found.append((np.sum(locs[members] * scales[members] ** -2.0, axis=0) / precision, precision**-0.5))
    return tuple(np.stack(x) for x in zip(*found, strict=True))


def private_codes(model, values, noise):
    """One sample of each private code, and its divergence from the prior."""
    private = experts(model, values)[1]
    s = {n: m + d * noise.normal(f"private/{n}", m.shape[1]) for n, (m, d) in private.items()}
    return s, {n: oracles.kl(m, d, 0.0, 1.0) for n, (m, d) in private.items()}


def mixture_bound(model, values, noise, locs, scales, divergence):
    """With c from a component of the mixture that the example's stratum chooses."""
    component = np.floor(noise.strata("component").astype(float) * len(locs)).astype(int)
    row = np.arange(noise.n)
    c = locs[component, row] + scales[component, row] * noise.normal("shared", model.shared_dim)
    s, kl_private = private_codes(model, values, noise)
    return weighted(model, decoded_log_px(model, values, c, s, list(values)), divergence, kl_private)


def mean_divergence_bound(model, values, noise, locs, scales):
    divergence = np.mean([oracles.kl(m, d, 0.0, 1.0) for m, d in zip(locs, scales, strict=True)], axis=0)
    return mixture_bound(model, values, noise, locs, scales, divergence)


def drawn_experts(model, values, noise, mean, deviation):
    """Of a Gaussian posterior: likelihoods, private divergences, and its divergences from the experts."""
    s, kl_private = private_codes(model, values, noise)
    c = mean + deviation * noise.normal("shared", model.shared_dim)
    drawn = sum(oracles.kl(mean, deviation, m, d) for m, d in experts(model, values)[0].values())
    return decoded_log_px(model, values, c, s, list(values)), kl_private, drawn


def importance_bound(model, values, noise, shared, private, *, samples=30, tight=False, plus=False, family="normal"):
    """The bounds of [Shi 2019] by their formulas: the looser one is a mean over the experts, outside of the logarithm.

    With `plus` those of [Palumbo 2023]: beside another expert a private code is drawn from its auxiliary prior.
    """
    log_density = {"normal": oracles.log_normal, "laplace": oracles.log_laplace}[family]
    names, by_expert = list(values), []
    for expert in names:
        loc, scale = shared[expert]
        each = []
        for k in range(samples):
            c = loc + scale * draws(noise, f"shared/{expert}", model.shared_dim, samples, family)[:, k]
            s, kl = {}, {}
            for n, (m, d) in private.items():
                s[n] = m + d * draws(noise, f"private/{n}/{expert}", m.shape[1], samples, family)[:, k]
                kl[n] = log_density(s[n], m, d) - log_density(s[n], 0.0, np.ones_like(d))
                if plus and n != expert:
                    auxiliary = np.exp(np.asarray(model.auxiliary[n], float) / 2)
                    s[n] = auxiliary * draws(noise, f"auxiliary/{n}/{expert}", m.shape[1], samples)[:, k]
                    kl[n] = np.zeros(noise.n)
            densities = [log_density(c, m, d) for m, d in shared.values()]
            divergence = logmeanexp(densities) - log_density(c, 0.0, np.ones_like(c))
            each.append(weighted(model, decoded_log_px(model, values, c, s, names), divergence, kl))
        by_expert.append(each)
    bounds = np.array(by_expert)
    return logmeanexp(bounds.reshape(-1, noise.n)) if tight else np.mean([logmeanexp(x) for x in bounds], axis=0)
