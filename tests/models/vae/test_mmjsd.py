"""mmJSD: the contract, and the prior's weight."""

import numpy as np
import pytest
import toys
from contract import CONTRASTIVE, ModelContract, RunContract
from losses import mmjsd
from references import weighted
from toys import FixedNoise

N = 6


class TestMMJSD(ModelContract):
    kind = "mmjsd"


@pytest.mark.slow
class TestContrastiveRun(RunContract):
    """As that of MVAE, of a mixture."""

    kind, trained = "mmjsd", CONTRASTIVE


def test_prior_weight_is_used():
    values, noise = toys.values(N), FixedNoise(N)
    light, heavy = (toys.model("mmjsd", prior_weight=w) for w in (0.05, 0.8))
    found = [m.terms(values, None, noise, 0)["divergence"] for m in (light, heavy)]
    assert not np.allclose(*found, rtol=0.01)
    np.testing.assert_allclose(heavy.terms(values, None, noise, 0)["loss"], mmjsd(heavy, values, noise), rtol=1e-5)


def test_prior_weight_is_refused_outside_0_to_1():
    with pytest.raises(ValueError, match="prior_weight must be"):
        toys.model("mmjsd", prior_weight=1.5)


def test_the_terms_add_up_to_the_loss():
    model, noise = toys.model("mmjsd"), FixedNoise(N)
    terms = model.terms(toys.values(N), None, noise, 0)
    log_px = {n: terms[f"log_likelihood/{n}"] for n in model.names}
    kls = {n: terms[f"kl_private/{n}"] for n in model.names}
    np.testing.assert_allclose(terms["loss"], -weighted(model, log_px, terms["divergence"], kls), rtol=1e-5)
