"""The D+G step of MMALI [C] on MNIST-SVHN in plain, eager PyTorch, built like the authors' release: the peer to be measured.

Plain means what one writes down from the paper: each discriminator is called once for each kind of tuples, and PyTorch's own
`spectral_norm` normalises its kernels in each call. It is fast where plain code can be: the player whose turn it is not is
frozen, so that nothing is differentiated in vain, and the moving average is one fused operation. Images are `[B, C, H, W]`.

A tuple (x_j, s_j, c) is written `x, z` with z = [s_j, c], as the release has it.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import math
from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

Images = Mapping[str, torch.Tensor]  # per modality `[B, C, H, W]` in 0..1
Gaussian = tuple[torch.Tensor, torch.Tensor]  # mean and log-variance, `[B, D]`
Pair = tuple[torch.Tensor, torch.Tensor]  # images `[B, C, H, W]` and codes `[B, STYLE + CONTENT]`
Noise = Mapping[str, torch.Tensor]

NAMES = ("mnist", "svhn")
STYLE, CONTENT = 10, 10
CODE = STYLE + CONTENT
KINDS = len(NAMES) + 1
UNIMODAL, RECONSTRUCTION, CONTENT_ERROR, STYLE_ERROR = 0.1, 0.05, 0.05, 0.05
RATE, BETAS, DECAY, STDDEV = 2e-4, (0.5, 0.999), 0.9999, 0.02
FLOOR = math.log(1e-4)  # of the log-variances


class Encoder(nn.Module):
    """Images -> Gaussians of the style and of the content."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> tuple[Gaussian, Gaussian]:
        content, content_log_variance, style, style_log_variance = self.network(x).split(
            (CONTENT, CONTENT, STYLE, STYLE), dim=1
        )
        return (style, _floored(style_log_variance)), (content, _floored(content_log_variance))


class MnistCritic(nn.Module):
    """[784 pixels, code]-400-outputs."""

    def __init__(self, outputs: int):
        super().__init__()
        self.trunk = dense((784 + CODE, 400, outputs))

    def forward(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return self.trunk(torch.cat([x.flatten(1), z], dim=1))


class SvhnCritic(nn.Module):
    """Image: convolutions 32-64-128-256; code: 256-256; both: 1024-1024-outputs."""

    def __init__(self, outputs: int):
        super().__init__()
        self.image = halvings()
        self.code = nn.Sequential(dense((CODE, 256, 256)), nn.LeakyReLU(0.2))
        self.trunk = dense((512, 1024, 1024, outputs))

    def forward(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return self.trunk(torch.cat([self.image(x), self.code(z)], dim=1))


class Dependence(nn.Module):
    """a(X): the inner product of two towers, `[B]`."""

    def __init__(self):
        super().__init__()
        self.mnist = nn.Sequential(nn.Flatten(), dense((784, 400, 256, 256)))
        self.svhn = nn.Sequential(halvings(), dense((256, 256)))

    def forward(self, mnist: torch.Tensor, svhn: torch.Tensor) -> torch.Tensor:
        return (self.mnist(mnist) * self.svhn(svhn)).sum(1)


class MMALI(nn.Module):
    """Both players: `generators` are the encoders and decoders, `discriminators` the networks of a, b_j, d_j ([C] eq. 10)."""

    def __init__(self):
        super().__init__()
        self.encoders = nn.ModuleDict({"mnist": Encoder(mnist_encoder()), "svhn": Encoder(svhn_encoder())})
        self.decoders = nn.ModuleDict({"mnist": mnist_decoder(), "svhn": svhn_decoder()})
        self.dependence = Dependence()
        self.content = nn.ModuleDict({"mnist": MnistCritic(1), "svhn": SvhnCritic(1)})
        self.alignment = nn.ModuleDict({"mnist": MnistCritic(KINDS), "svhn": SvhnCritic(KINDS)})
        self.generators = nn.ModuleList([self.encoders, self.decoders])
        self.discriminators = nn.ModuleList([self.dependence, self.content, self.alignment])
        with torch.no_grad():
            for parameter in self.parameters():
                nn.init.normal_(parameter, std=STDDEV) if parameter.ndim > 1 else nn.init.zeros_(parameter)

    # ---- the discriminators' turn ----------------------------------------------------------------------------------

    def discriminators_loss(self, paired: Images, single: Images, noise: Mapping[str, Noise]) -> torch.Tensor:
        """Return what the discriminators minimise. Args: noise: `paired` and `single`, each as `draw_noise` returns it."""
        with torch.no_grad():
            encoded, styles, contents = self.encode(paired, noise["paired"])
            alone, alone_styles, _ = self.encode(single, noise["single"])
            alone_generated = self.generate(noise["single"])
        order = noise["paired"]["order"]
        loss = logistic(
            self.dependence(paired["mnist"], paired["svhn"]), self.dependence(paired["mnist"], paired["svhn"][order])
        )
        crossed = self.crossed(paired, styles, contents)
        for name in NAMES:
            kinds = [self.alignment[name](*pair) for pair in (alone[name], alone_generated[name], crossed[name])]
            loss = loss + sum(cross_entropy(logits, kind) for kind, logits in enumerate(kinds)) / KINDS
            loss = loss + self.content_loss(name, encoded[name], styles[name], noise["paired"])
            loss = loss + self.content_loss(name, alone[name], alone_styles[name], noise["single"])
        return loss

    def content_loss(self, name: str, encoded: Pair, style: torch.Tensor, noise: Noise) -> torch.Tensor:
        """b_j: encoded tuples, against those of another order with a content from the prior."""
        order = noise["order"]
        unlinked = encoded[0][order], torch.cat([style[order], noise["prior_content"]], dim=1)
        return logistic(self.b(name, encoded), self.b(name, unlinked))

    # ---- the generators' turn --------------------------------------------------------------------------------------

    def generators_loss(self, paired: Images, single: Images, noise: Mapping[str, Noise]) -> torch.Tensor:
        """Return what encoders and decoders minimise.

        Args: noise: `paired` and `single`, as above, and `back` of `draw_back`.
        """
        experts = {name: self.encoders[name](paired[name]) for name in NAMES}
        _, styles, contents = sample(paired, experts, noise["paired"])
        generated = self.generate(noise["paired"])
        loss = self.joint_loss(paired, styles, contents, generated)
        alone, *_ = self.encode(single, noise["single"])
        alone_generated = self.generate(noise["single"])
        crossed = self.crossed(paired, styles, contents)
        for name in NAMES:
            for kind, pair in enumerate((alone[name], alone_generated[name], crossed[name])):
                loss = loss + UNIMODAL * nonsaturating(self.alignment[name](*pair), kind)
        loss = loss + self.reconstruction_loss(paired, experts, styles, noise["back"])
        return loss + self.code_loss(generated, noise["back"])

    def joint_loss(self, paired: Images, styles: Images, contents: Images, generated: Mapping[str, Pair]) -> torch.Tensor:
        """The non-saturating loss of all kinds of tuples: real ones with the content of each encoder, and generated ones."""
        of_real = self.dependence(paired["mnist"], paired["svhn"])
        loss = 0.0
        for kind, name in enumerate(NAMES):
            pairs = {n: (paired[n], torch.cat([styles[n], contents[name]], dim=1)) for n in NAMES}
            loss = loss + nonsaturating(self.joint_logits(of_real, pairs), kind)
        of_generated = self.dependence(generated["mnist"][0], generated["svhn"][0])
        return loss + nonsaturating(self.joint_logits(of_generated, generated), KINDS - 1)

    def joint_logits(self, a: torch.Tensor, pairs: Mapping[str, Pair]) -> torch.Tensor:
        """Return the factorized discriminator of [C] eq. 6 and 10, `[B, KINDS]`."""
        b, d = [self.b(name, pairs[name]) for name in NAMES], [self.d(name, pairs[name]) for name in NAMES]
        return torch.stack([*b, -(a + sum(d) - sum(b))], dim=1)

    def reconstruction_loss(self, paired: Images, experts, styles: Images, noise: Noise) -> torch.Tensor:
        """Return images rebuilt from their styles and the content of all encoders together."""
        content = reparameterise(geometric_mean([content for _, content in experts.values()]), noise["rebuilt"])
        rebuilt = {name: self.decoders[name](torch.cat([styles[name], content], dim=1)) for name in NAMES}
        return RECONSTRUCTION * sum(functional.mse_loss(rebuilt[name], paired[name]) for name in NAMES)

    def code_loss(self, generated: Mapping[str, Pair], noise: Noise) -> torch.Tensor:
        """Return codes found again in what was generated from them."""
        experts = {name: self.encoders[name](x) for name, (x, _) in generated.items()}
        content = reparameterise(geometric_mean([content for _, content in experts.values()]), noise["content"])
        # All modalities share the content of their codes.
        loss = CONTENT_ERROR * functional.mse_loss(content, generated["mnist"][1][:, STYLE:])
        for name, (_, z) in generated.items():
            style = reparameterise(experts[name][0], noise[name])
            loss = loss + STYLE_ERROR * functional.mse_loss(style, z[:, :STYLE])
        return loss

    # ---- parts -----------------------------------------------------------------------------------------------------

    def encode(self, images: Images, noise: Noise) -> tuple[dict[str, Pair], Images, Images]:
        """Return encoded tuples, and their styles and contents by modality."""
        return sample(images, {name: self.encoders[name](images[name]) for name in NAMES}, noise)

    def generate(self, noise: Noise) -> dict[str, Pair]:
        """Return generated tuples, of which all modalities share the content."""
        codes = {name: torch.cat([noise[f"prior_{name}"], noise["prior_content"]], dim=1) for name in NAMES}
        return {name: (self.decoders[name](z), z) for name, z in codes.items()}

    def crossed(self, paired: Images, styles: Images, contents: Images) -> dict[str, Pair]:
        """Return paired images and their styles, beside the content of the other encoder."""
        others = dict(zip(NAMES, reversed(NAMES), strict=True))
        return {name: (paired[name], torch.cat([styles[name], contents[others[name]]], dim=1)) for name in NAMES}

    def b(self, name: str, pair: Pair) -> torch.Tensor:
        """log q(x_j, s_j, c) / (q(x_j, s_j) p(c)), `[B]`."""
        return self.content[name](*pair)[:, 0]

    def d(self, name: str, pair: Pair) -> torch.Tensor:
        """log q(x_j, s_j, c) / p(x_j, s_j, c), `[B]`."""
        logits = self.alignment[name](*pair)
        return logits[:, 0] - logits[:, 1]


class Game:
    """Training: the players, their optimizers and the moving average of the generators."""

    def __init__(self, *, cached: bool = False):
        """Args: cached: normalise each kernel once a turn, and not in each call; by no means plain."""
        self.cached = parametrize.cached if cached else contextlib.nullcontext
        self.model = MMALI()
        self.average = copy.deepcopy(self.model.generators).requires_grad_(False)
        self.generators = list(self.model.generators.parameters())
        self.optimizers = [
            torch.optim.Adam(player.parameters(), RATE, BETAS) for player in (self.model.discriminators, self.model.generators)
        ]

    def step(self, batches: Sequence[tuple[Images, Images]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return one update of each player, each on paired and single images of its own; returns both losses."""
        losses = [self._turn(place, *batch) for place, batch in enumerate(batches)]
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), self.generators, 1.0 - DECAY)
        return tuple(losses)

    def _turn(self, place: int, paired: Images, single: Images) -> torch.Tensor:
        """Args: place: 0 for the discriminators, 1 for the generators."""
        model, size = self.model, len(paired["mnist"])
        model.discriminators.requires_grad_(place == 0)
        model.generators.requires_grad_(place == 1)
        noise = {"paired": draw_noise(size), "single": draw_noise(size)}
        with self.cached():
            if place == 0:
                loss = model.discriminators_loss(paired, single, noise)
            else:
                loss = model.generators_loss(paired, single, noise | {"back": draw_back(size)})
        self.optimizers[place].zero_grad()
        loss.backward()
        self.optimizers[place].step()
        return loss


def draw_noise(size: int) -> Noise:
    """Return what encoded and generated tuples of one batch need: standard normal, and an order of the rows."""
    noise = {name: torch.randn(size, CODE) for name in NAMES} | {f"prior_{name}": torch.randn(size, STYLE) for name in NAMES}
    return noise | {"prior_content": torch.randn(size, CONTENT), "order": torch.randperm(size)}


def draw_back(size: int) -> Noise:
    """Return standard normal of the ways back: from images to images, and from codes to codes."""
    noise = {name: torch.randn(size, STYLE) for name in NAMES}
    return noise | {"rebuilt": torch.randn(size, CONTENT), "content": torch.randn(size, CONTENT)}


def sample(images: Images, experts: Mapping[str, tuple[Gaussian, Gaussian]], noise: Noise):
    """As `MMALI.encode`, from the encoders' Gaussians."""
    styles = {name: reparameterise(style, noise[name][:, :STYLE]) for name, (style, _) in experts.items()}
    contents = {name: reparameterise(content, noise[name][:, STYLE:]) for name, (_, content) in experts.items()}
    return {name: (images[name], torch.cat([styles[name], contents[name]], dim=1)) for name in experts}, styles, contents


def _floored(log_variance: torch.Tensor) -> torch.Tensor:
    return FLOOR + functional.softplus(log_variance - FLOOR)


def reparameterise(gaussian: Gaussian, noise: torch.Tensor) -> torch.Tensor:
    mean, log_variance = gaussian
    return mean + torch.exp(0.5 * log_variance) * noise


def geometric_mean(experts: Sequence[Gaussian]) -> Gaussian:
    """Return the precision is the mean of the experts' precisions."""
    precisions = [torch.exp(-log_variance) / len(experts) for _, log_variance in experts]
    variance = 1.0 / sum(precisions)
    mean = variance * sum(precision * mean for precision, (mean, _) in zip(precisions, experts, strict=True))
    return mean, torch.log(variance)


def logistic(above: torch.Tensor, below: torch.Tensor) -> torch.Tensor:
    """Return what trains a log-ratio, from logits `[B]` of samples of its numerator and of its denominator."""
    return 0.5 * (functional.softplus(-above).mean() + functional.softplus(below).mean())


def cross_entropy(logits: torch.Tensor, kind: int) -> torch.Tensor:
    """Return logits `[B, KINDS]` of samples that are all of one kind."""
    return functional.cross_entropy(logits, torch.full((len(logits),), kind))


def nonsaturating(logits: torch.Tensor, kind: int) -> torch.Tensor:
    """[Dandi 2021]: the mean of the cross-entropies to the other kinds, times 2 / (1 + M)."""
    losses = [cross_entropy(logits, other) for other in range(KINDS) if other != kind]
    return 2.0 / KINDS * sum(losses) / len(losses)


# ---- networks --------------------------------------------------------------------------------------------------------


def dense(widths: Sequence[int]) -> nn.Sequential:
    """Return spectrally normalised layers, with a LeakyReLU between them."""
    layers = []
    for width, following in itertools.pairwise(widths):
        layers += [nn.LeakyReLU(0.2)] if layers else []
        layers.append(spectral_norm(nn.Linear(width, following)))
    return nn.Sequential(*layers)


def halvings() -> nn.Sequential:
    """Return spectrally normalised convolutions 32-64-128 (4, 2, 1)-256 (4, 1, 0): `[B, 3, 32, 32]` -> `[B, 256]`."""
    layers = []
    for channels, filters in ((3, 32), (32, 64), (64, 128)):
        layers += [spectral_norm(nn.Conv2d(channels, filters, 4, 2, 1)), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, spectral_norm(nn.Conv2d(128, 256, 4, 1, 0)), nn.LeakyReLU(0.2), nn.Flatten())


def mnist_encoder() -> nn.Module:
    """784-400-40."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 2 * CODE))


def mnist_decoder() -> nn.Module:
    """20-400-784, sigmoid."""
    return nn.Sequential(nn.Linear(CODE, 400), nn.ReLU(), nn.Linear(400, 784), nn.Sigmoid(), nn.Unflatten(1, (1, 28, 28)))


def svhn_encoder() -> nn.Module:
    """Return convolutions 32-64-128 (4, 2, 1), then 40 (4, 1, 0)."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 4, 2, 1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 4, 2, 1),
        nn.ReLU(),
        nn.Conv2d(64, 128, 4, 2, 1),
        nn.ReLU(),
        nn.Conv2d(128, 2 * CODE, 4, 1, 0),
        nn.Flatten(),
    )


def svhn_decoder() -> nn.Module:
    """Return the mirror image, sigmoid."""
    return nn.Sequential(
        nn.Unflatten(1, (CODE, 1, 1)),
        nn.ConvTranspose2d(CODE, 128, 4, 1, 0),
        nn.ReLU(),
        nn.ConvTranspose2d(128, 64, 4, 2, 1),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 32, 4, 2, 1),
        nn.ReLU(),
        nn.ConvTranspose2d(32, 3, 4, 2, 1),
        nn.Sigmoid(),
    )
