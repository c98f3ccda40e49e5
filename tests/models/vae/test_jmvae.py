"""JMVAE: the contract, the joint encoder beside the single ones, and alpha."""

import numpy as np
import pytest
import toys
from contract import CONTRASTIVE, ModelContract, RunContract
from toys import ROUNDING, SHARED, FixedNoise

N = 6


class TestJMVAE(ModelContract):
    kind = "jmvae"


@pytest.mark.slow
class TestContrastiveRun(RunContract):
    """As that of MVAE, with a joint encoder."""

    kind, trained = "jmvae", CONTRASTIVE


def test_jmvae_without_alpha_ignores_the_unimodal_encoders():
    values, model = toys.values(N), toys.model("jmvae", alpha=0.0)
    before = model.terms(values, None, FixedNoise(N), 0)["loss"]
    for head in model.coders.heads.values():
        # Those of the shared code; the private one is the same head's.
        kernel = np.array(head.kernel)
        kernel[:, : 2 * SHARED] *= -3.0
        head.kernel.assign(kernel)
    np.testing.assert_allclose(model.terms(values, None, FixedNoise(N), 0)["loss"], before, **ROUNDING)
    drawn = toys.model("jmvae", alpha=0.5).terms(values, None, FixedNoise(N), 0)["loss"]
    assert np.all(np.asarray(drawn) > np.asarray(before))


def test_jmvae_answers_for_all_with_the_joint_encoder_and_for_fewer_with_the_product():
    values, model = toys.values(N), toys.model("jmvae")
    codes = model.encode(values)
    everything = model.posteriors(values)
    np.testing.assert_allclose(everything[model.names].mean(), codes.joint.loc, **ROUNDING)
    np.testing.assert_allclose(model.posterior(values).stddev(), codes.joint.stddev(), **ROUNDING)
    np.testing.assert_allclose(everything["image",].mean(), codes.shared["image"].loc, rtol=1e-5)
    pair = [codes.shared[n] for n in ("vector", "text")]
    precision = sum(1 / q.stddev() ** 2 for q in pair)
    np.testing.assert_allclose(everything["vector", "text"].stddev(), precision**-0.5, rtol=1e-5)
    assert model.encode({"image": values["image"]}).joint is None
    mask = {"text": np.arange(N) % 2 == 0}
    partly = model.posterior(values, mask=mask)
    np.testing.assert_allclose(partly.mean()[::2], codes.joint.loc[::2], **ROUNDING)
    np.testing.assert_allclose(partly.mean()[1::2], everything["vector", "image"].mean()[1::2], rtol=1e-5)


def test_an_alpha_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="alpha must be at least 0"):
        toys.model("jmvae", alpha=-0.1)


def test_jmvae_s_alpha_warms_up():
    betas = {"beta": 2.0, "warmup_steps": 10}
    model = toys.model("jmvae", 0, alpha=0.5, alpha_start=0.1, **betas)
    values, plain = toys.values(N), toys.model("jmvae", 0, alpha=0.0, beta=2.0)
    found = [model.terms(values, None, FixedNoise(N), step) for step in (0, 5, 10, 20)]
    drawn = sum(x for name, x in found[0].items() if name.startswith("kl_experts"))
    rest = plain.terms(values, None, FixedNoise(N), 0)["loss"]
    for terms, alpha in zip(found, (0.1, 0.3, 0.5, 0.5), strict=True):
        np.testing.assert_allclose(terms["loss"], rest + alpha * drawn, rtol=1e-5)
    assert model.schedule(5)["alpha"] == pytest.approx(0.3)
