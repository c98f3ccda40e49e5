"""MMVAE+: the contract, and whose private codes a modality is decoded with."""

import numpy as np
import pytest
import toys
from contract import FEW_SAMPLES, ModelContract, ObjectiveContract
from toys import SHARED, FixedNoise

from mmtf.models.vae.bounds import Gradient

N = 6


class TestMMVAEPlus(ModelContract):
    kind, options, private = "mmvae_plus", {"gradient_estimator": "iwae"}, (3, 2, 1)
    trained = FEW_SAMPLES


class TestByDReG(ObjectiveContract):
    kind, private = "mmvae_plus", (3, 2, 1)


def test_mmvae_plus_needs_private_codes():
    with pytest.raises(ValueError, match="vector has none; set --private_dim"):
        toys.model("mmvae_plus", 0)


def test_mmvae_plus_draws_another_modality_s_private_code_apart_from_its_value():
    """What x_vector is told by its private encoder changes its own reconstruction from its own expert, and no other one."""
    model, values, noise = toys.model("mmvae_plus", importance_samples=2), toys.values(N), FixedNoise(N)
    codes = model.encode(values)
    head = model.coders.heads["vector"]
    shift = np.zeros(head.bias.shape[0], np.float32)
    shift[2 * SHARED : 2 * SHARED + 2] = 1.0
    before = model.draw(codes, noise, Gradient("iwae")).private["vector"]
    head.bias.assign_add(shift)
    after = model.draw(model.encode(values), noise, Gradient("iwae")).private["vector"]
    np.testing.assert_allclose(after[:, 0], before[:, 0] + 1.0, rtol=1e-5)
    np.testing.assert_array_equal(after[:, 1:], before[:, 1:])
