"""MVTCAE: the contract, and alpha."""

import numpy as np
import pytest
import toys
from contract import ModelContract
from references import weighted
from toys import FixedNoise

N = 6


class TestMVTCAE(ModelContract):
    kind = "mvtcae"


def test_mvtcae_without_alpha_is_the_plain_bound_of_a_product():
    values, noise = toys.values(N), FixedNoise(N)
    model = toys.model("mvtcae", 0, alpha=0.0)
    terms = model.terms(values, None, noise, 0)
    log_px = {n: terms[f"log_likelihood/{n}"] for n in values}
    np.testing.assert_allclose(terms["loss"], -weighted(model, log_px, terms["divergence"], {}), rtol=1e-6)


@pytest.mark.parametrize("alpha", [-0.1, 1.5])
def test_an_alpha_that_cannot_be_is_refused(alpha):
    with pytest.raises(ValueError, match="--alpha must (lie between 0 and 1|be at least 0)"):
        toys.model("mvtcae", alpha=alpha)
