"""What is compared with the library `multivae`: the models that both have, on the same data, with the same weights."""

from __future__ import annotations

from mmtf.config import Config, DataConfig, ModelConfig, TrainConfig

# Their own settings where both libraries know them, otherwise ours. `multivae` has a beta for its MMVAE and does not use it.
MODELS = {
    "mvae": {"beta": 5.0},
    "mmvae_iw": {"beta": 1.0, "importance_samples": 3, "gradient_estimator": "dreg"},
    "mopoe": {"beta": 5.0},
    "jmvae": {"beta": 5.0, "alpha": 0.1},
    "mvtcae": {"beta": 2.5, "alpha": 0.1},
}


def experiment(model: str, batch_size: int, seed: int = 0) -> Config:
    """Return one model on the embedded data, with a shared code only: most of `multivae`'s models have no private ones."""
    return Config(
        DataConfig("digits", pairings=20),
        ModelConfig(model, shared_dim=20, **MODELS[model]),
        TrainConfig(batch_size=batch_size, seed=seed),
    )
