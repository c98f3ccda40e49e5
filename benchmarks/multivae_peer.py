"""The models of `multivae` with our networks, objectives and data, trained by its own trainer."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
import torch_data
import torch_networks
from torch import nn

from mmtf.config import Config
from mmtf.data.dataset import Split
from mmtf.modality import Modality


def _load_torchvision() -> None:
    """`multivae` imports torchvision, to draw grids of images.

    Built for CUDA it does not import beside a PyTorch for CPUs: it then lacks operators that it says something about. Nothing
    here calls them, so that declaring them is enough.
    """
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


_load_torchvision()
from multivae import models  # noqa: E402
from multivae.data.datasets.base import DatasetOutput, MultimodalBaseDataset  # noqa: E402
from multivae.models.base import BaseDecoder, BaseEncoder, BaseMultiVAE, ModelOutput  # noqa: E402
from multivae.models.nn import BaseJointEncoder  # noqa: E402
from multivae.trainers import BaseTrainer, BaseTrainerConfig  # noqa: E402
from multivae.trainers.base.callbacks import TrainingCallback  # noqa: E402

# As Keras' Adam has it; PyTorch's own is 1e-8.
ADAM = {"eps": 1e-7}
FEATURES = {"digit": 400, "scene": 128, "word": 128}
JOINT_HIDDEN = 512


class Encoder(BaseEncoder):
    """A trunk, and mean and log-variance from one layer as in ours; behind those of the shared code those of a private one."""

    def __init__(self, name: str, latent_dim: int, private_dim: int = 0):
        super().__init__()
        self.latent_dim, self.style_dim = latent_dim, private_dim
        self.trunk = getattr(torch_networks, f"{name}_trunk")()
        self.head = nn.Linear(FEATURES[name], 2 * (latent_dim + private_dim))

    def forward(self, x: torch.Tensor) -> ModelOutput:
        shared, private = self.head(self.trunk(x)).split([2 * self.latent_dim, 2 * self.style_dim], dim=1)
        found = _gaussian(shared)
        if self.style_dim:
            found["style_embedding"], found["style_log_covariance"] = private.chunk(2, dim=1)
        return found


class JointEncoder(BaseJointEncoder):
    """As `mmtf.networks.joint.JointEncoder`; the library's own has one hidden layer more."""

    def __init__(self, names: Sequence[str], latent_dim: int):
        super().__init__()
        self.latent_dim = latent_dim
        self.trunks = nn.ModuleDict({name: getattr(torch_networks, f"{name}_trunk")() for name in names})
        self.hidden = nn.Linear(sum(FEATURES[name] for name in names), JOINT_HIDDEN)
        self.head = nn.Linear(JOINT_HIDDEN, 2 * latent_dim)

    def forward(self, x: dict[str, torch.Tensor]) -> ModelOutput:
        features = torch.cat([trunk(x[name]) for name, trunk in self.trunks.items()], dim=1)
        return _gaussian(self.head(torch.relu(self.hidden(features))))


class Decoder(BaseDecoder):
    def __init__(self, name: str):
        super().__init__()
        self.network = getattr(torch_networks, f"{name}_decoder")()

    def forward(self, z: torch.Tensor) -> ModelOutput:
        # Its losses take views of what they get, which a transposed answer does not allow.
        return ModelOutput(reconstruction=self.network(z).contiguous())


def _options(model, names: Sequence[str]) -> dict:
    """Return what the library's model of that name has of its own."""
    match model.model:
        case "mmjsd":
            own = {"subsets": [[name] for name in names]}
            if not model.private_dim:
                return own
            private = dict.fromkeys(names, model.private_dim)
            return own | {"modalities_specific_dim": private, "beta_style": model.private_beta}
        case "mvae":
            return {"warmup": 0, "k": model.mvae_subsets}
        case "mmvae_iw":
            return {
                "K": model.importance_samples,
                "prior_and_posterior_dist": "normal",
                "learn_prior": False,
                "loss": f"{model.gradient_estimator}_looser",
            }
        case "jmvae":
            return {"warmup": 0, "alpha": model.alpha}
        case "mvtcae":
            return {"alpha": model.alpha}
    return {}


def _gaussian(fused: torch.Tensor) -> ModelOutput:
    mean, log_variance = fused.chunk(2, dim=1)
    return ModelOutput(embedding=mean, log_covariance=log_variance)


def build(config: Config, modalities: Sequence[Modality]) -> BaseMultiVAE:
    """Return the library's model of that name, told to maximise what ours does: no warm-up, our weights and likelihoods.

    It has no mmJSD. What comes nearest is its MoPoE over the sets of one modality, with private codes: the same mixture of
    experts, held to a fixed prior by their divergences.
    """
    names, model = [m.name for m in modalities], config.model
    shared = {
        "n_modalities": len(names),
        "latent_dim": model.shared_dim,
        "beta": model.beta,
        "uses_likelihood_rescaling": True,
        "rescale_factors": {m.name: m.likelihood_weight for m in modalities},
        "decoders_dist": {m.name: m.likelihood for m in modalities},
        "decoder_dist_params": {m.name: {"scale": m.scale} for m in modalities if m.likelihood == "laplace"},
    }
    kind, settings = {
        "mmjsd": (models.MoPoE, models.MoPoEConfig),
        "mvae": (models.MVAE, models.MVAEConfig),
        "mmvae_iw": (models.MMVAE, models.MMVAEConfig),
        "mopoe": (models.MoPoE, models.MoPoEConfig),
        "jmvae": (models.JMVAE, models.JMVAEConfig),
        "mvtcae": (models.MVTCAE, models.MVTCAEConfig),
    }[model.model]
    own = _options(model, names)
    joint = {"joint_encoder": JointEncoder(names, model.shared_dim)} if model.model == "jmvae" else {}
    encoders = {name: Encoder(name, model.shared_dim, model.private_dim) for name in names}
    return kind(settings(**shared, **own), encoders, {name: Decoder(name) for name in names}, **joint)


# ---- data ------------------------------------------------------------------------------------------------------------


def dataset(split: Split) -> MultimodalBaseDataset:
    """Return every example of a split in the library's own class: floats, images `[N, C, H, W]` in 0..1, one-hot words."""
    values = torch_data.to_torch(split.take(np.arange(len(split))))
    return MultimodalBaseDataset({name: x.contiguous() for name, x in values.items()})


def batch(values) -> DatasetOutput:
    """Return values as our models take them, as one batch of the library's."""
    return _output(torch_data.to_torch(values))


def gathered(split: Split, config: Config) -> Iterator[DatasetOutput]:
    """Shuffled batches without end, each of one gather per modality; the library's data set collects single examples."""
    for values in torch_data.endless(torch_data.loader(split, config.train.batch_size, config.train.seed)):
        yield _output(values)


def _output(values: Mapping[str, torch.Tensor]) -> DatasetOutput:
    return DatasetOutput(data={name: x.contiguous() for name, x in values.items()})


# ---- training --------------------------------------------------------------------------------------------------------


class EachStep(TrainingCallback):
    """Calls a function after each step."""

    def __init__(self, done: Callable[[], None]):
        self._done = done

    def on_train_step_end(self, training_config, **kwargs):
        self._done()


def trainer(
    model: BaseMultiVAE, data: MultimodalBaseDataset, config: Config, epochs: int, folder: str, each_step: Callable[[], None]
) -> BaseTrainer:
    """Return the library's trainer, with full batches and our optimizer's settings.

    In place of its progress bar `each_step`.
    """
    logging.getLogger(BaseTrainer.__module__).setLevel(logging.WARNING)
    training = BaseTrainerConfig(
        output_dir=folder,
        per_device_train_batch_size=config.train.batch_size,
        num_epochs=epochs,
        optimizer_cls="Adam",
        optimizer_params=ADAM,
        learning_rate=config.train.learning_rate,
        drop_last=True,
        seed=config.train.seed,
        no_cuda=True,
    )
    made = BaseTrainer(model, data, training_config=training)
    made.callback_handler.callbacks = [EachStep(each_step)]
    return made


def train(
    model: BaseMultiVAE,
    data: MultimodalBaseDataset,
    config: Config,
    epochs: int,
    each_step: Callable[[], None] = lambda: None,
) -> BaseMultiVAE:
    """Return the model after so many passes over the data; what the trainer writes is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        made = trainer(model, data, config, epochs, folder, each_step)
        made.train()
    return made.model


def optimizer(model: BaseMultiVAE, config: Config) -> torch.optim.Optimizer:
    """As the trainer makes it."""
    return torch.optim.Adam(model.parameters(), lr=config.train.learning_rate, **ADAM)


def step(model: BaseMultiVAE, adam: torch.optim.Optimizer, data: DatasetOutput) -> torch.Tensor:
    """Return one update, and nothing else; returns the loss."""
    adam.zero_grad()
    loss = model(data).loss
    loss.backward()
    adam.step()
    return loss


def mean_loss(model: BaseMultiVAE, data: DatasetOutput) -> torch.Tensor:
    """Return what the library minimises, per example: MMVAE's loss is a sum over the batch, the others' are means."""
    loss = model(data).loss
    return loss / len(next(iter(data.data.values()))) if isinstance(model, models.MMVAE) else loss


# ---- weights ---------------------------------------------------------------------------------------------------------


def matched(ours, peer: BaseMultiVAE) -> Iterator[tuple]:
    """Each of our weights, a Keras variable, with the library's parameter that means the same."""
    for own, other in _parts(ours, peer):
        yield from zip(own.weights, other.parameters(), strict=True)


def copy_to(peer: BaseMultiVAE, ours) -> None:
    """Our model's weights into the library's. For models without private codes, before which ours have the shared one last."""
    with torch.no_grad():
        for weight, parameter in matched(ours, peer):
            # A convolution of kernel 1 is a plain matrix in ours (`mmtf.networks.layers.Characters`).
            parameter.copy_(torch.from_numpy(_transposed(weight.numpy()).reshape(parameter.shape)))


def copy_from(peer: BaseMultiVAE, ours) -> None:
    """The library's weights into our model."""
    for weight, parameter in matched(ours, peer):
        weight.assign(as_ours(parameter, weight))
    for name, modality in ours.modalities.items():
        # Its decoders read the shared code and then the private one, ours the other way round.
        first = ours.coders.decoders[name].weights[0]
        first.assign(np.roll(first.numpy(), modality.private_dim, axis=0))


def as_ours(values: torch.Tensor, weight) -> np.ndarray:
    """A parameter's values, or their gradient, in the layout of our weight."""
    array = values.detach().numpy().reshape(_transposed(weight.numpy()).shape)
    return array.T if array.ndim < 3 else array.transpose(*range(2, array.ndim), 1, 0)


def _transposed(kernel: np.ndarray) -> np.ndarray:
    """Keras `[*window, in, out]` to PyTorch's `[out, in, *window]`; transposed convolutions swap `in` and `out` in both."""
    return kernel.T if kernel.ndim < 3 else kernel.transpose(-1, -2, *range(kernel.ndim - 2))


def _parts(ours, peer: BaseMultiVAE) -> Iterator[tuple]:
    for name in ours.names:
        yield ours.coders.encoders[name], peer.encoders[name].trunk
        yield ours.coders.heads[name], peer.encoders[name].head
        yield ours.coders.decoders[name], peer.decoders[name].network
    if isinstance(peer, models.JMVAE):
        own, other = ours.joint_encoder, peer.joint_encoder
        for name in ours.names:
            yield own.encoders[name], other.trunks[name]
        yield own.hidden, other.hidden
        yield own.head, other.head
