"""The mmJSD step of [S] with subspaces in plain, eager PyTorch, built like the authors' release: the peer to be measured.

Written to be fast where plain code can be: batches are gathered with one index per modality, nothing is logged, and the
noise is drawn in one call per code. Images are `[B, C, H, W]` and the text is one-hot, as PyTorch and the release have it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import distributions, nn
from torch_networks import digit_decoder, digit_trunk, scene_decoder, scene_trunk, word_decoder, word_trunk

Gaussian = tuple[torch.Tensor, torch.Tensor]  # mean and log-variance, `[B, D]`

NAMES = ("digit", "scene", "word")
SHARED, PRIVATE = 16, 4
SCALE = 0.75
LIKELIHOOD_WEIGHTS = {"digit": 3072 / 784, "scene": 1.0, "word": 3072 / 8}
BETA, BETA_CONTENT, BETA_STYLE = 5.0, 1.0, 3.0
STYLE_WEIGHTS = {"digit": 1.0, "scene": 1.0, "word": 5.0}


class Encoder(nn.Module):
    """A trunk, and the four last layers that [S] C.3.2 names: means and log-variances of the shared and the private code."""

    def __init__(self, trunk: nn.Module, features: int):
        super().__init__()
        self.trunk = trunk
        self.heads = nn.ModuleList(nn.Linear(features, width) for width in (SHARED, SHARED, PRIVATE, PRIVATE))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        features = self.trunk(x)
        return tuple(head(features) for head in self.heads)


class MMJSD(nn.Module):
    """The networks of [S] Tables 5 to 7 on MNIST-SVHN-Text's shapes."""

    def __init__(self):
        super().__init__()
        self.encoders = nn.ModuleDict(
            {
                "digit": Encoder(digit_trunk(), 400),
                "scene": Encoder(scene_trunk(), 128),
                "word": Encoder(word_trunk(), 128),
            }
        )
        self.decoders = nn.ModuleDict({"digit": digit_decoder(), "scene": scene_decoder(), "word": word_decoder()})

    def loss(self, values: Mapping[str, torch.Tensor], noise: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return what [S] minimises, averaged over the batch.

        Args:
          values: digit `[B, 1, 28, 28]` and scene `[B, 3, 32, 32]` in 0..1, word one-hot `[B, 8, 71]`.
          noise: standard normal, `shared` `[B, 16]` and per modality `[B, 4]`.
        """
        shared, private = {}, {}
        for name in NAMES:
            mean, log_variance, private_mean, private_log_variance = self.encoders[name](values[name])
            shared[name], private[name] = (mean, log_variance), (private_mean, private_log_variance)
        code = reparameterise(mixture_by_thirds(list(shared.values())), noise["shared"])
        log_px = 0.0
        for name in NAMES:
            codes = torch.cat([reparameterise(private[name], noise[name]), code], dim=1)
            log_px = log_px + LIKELIHOOD_WEIGHTS[name] * log_likelihood(name, self.decoders[name](codes), values[name])
        prior = (torch.zeros_like(code), torch.zeros_like(code))
        style = sum(STYLE_WEIGHTS[name] * kl(private[name], zero_like(private[name])) for name in NAMES)
        divergence = BETA_CONTENT * jensen_shannon([*shared.values(), prior]) + BETA_STYLE * style
        return (-log_px + BETA * divergence).mean()


def draw_noise(batch_size: int) -> dict[str, torch.Tensor]:
    """Return noise for one step, in the form that `MMJSD.loss` takes."""
    return {"shared": torch.randn(batch_size, SHARED)} | {name: torch.randn(batch_size, PRIVATE) for name in NAMES}


def train_step(model: MMJSD, optimizer: torch.optim.Optimizer, values: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return one update; returns the loss."""
    loss = model.loss(values, draw_noise(len(values["word"])))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


def mixture_by_thirds(experts: Sequence[Gaussian]) -> Gaussian:
    """Return the first third of the batch from the first expert, and so on; the last takes what is left over."""
    size = len(experts[0][0])
    starts = [k * (size // len(experts)) for k in range(len(experts))]
    ends = [*starts[1:], size]
    mean = torch.cat([expert[0][start:end] for expert, start, end in zip(experts, starts, ends, strict=True)])
    log_variance = torch.cat([expert[1][start:end] for expert, start, end in zip(experts, starts, ends, strict=True)])
    return mean, log_variance


def reparameterise(gaussian: Gaussian, noise: torch.Tensor) -> torch.Tensor:
    mean, log_variance = gaussian
    return mean + torch.exp(0.5 * log_variance) * noise


def log_likelihood(name: str, parameters: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """log p(x_j|s_j,c), `[B]`: Laplace for images, categorical for text."""
    if name == "word":
        p = distributions.OneHotCategorical(logits=parameters, validate_args=False)
    else:
        p = distributions.Laplace(parameters, SCALE, validate_args=False)
    return p.log_prob(value).flatten(1).sum(1)


def jensen_shannon(experts: Sequence[Gaussian]) -> torch.Tensor:
    """JS of M experts and the prior, all of weight 1/(M+1), to their geometric mean. -> `[B]`"""
    weight = 1.0 / len(experts)
    precisions = [weight * torch.exp(-log_variance) for _, log_variance in experts]
    variance = 1.0 / sum(precisions)
    mean = variance * sum(precision * mean for precision, (mean, _) in zip(precisions, experts, strict=True))
    dynamic_prior = (mean, torch.log(variance))
    return weight * sum(kl(expert, dynamic_prior) for expert in experts)


def kl(q: Gaussian, p: Gaussian) -> torch.Tensor:
    """KL(q || p) of diagonal Gaussians. -> `[B]`"""
    (q_mean, q_log_variance), (p_mean, p_log_variance) = q, p
    difference = q_log_variance - p_log_variance
    distance = (q_mean - p_mean).square() * torch.exp(-p_log_variance)
    return 0.5 * (torch.exp(difference) + distance - 1.0 - difference).sum(1)


def zero_like(gaussian: Gaussian) -> Gaussian:
    """N(0, I) of the same shape."""
    return torch.zeros_like(gaussian[0]), torch.zeros_like(gaussian[1])
