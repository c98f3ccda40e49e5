"""The pictures that show what a model does, drawn from its verbs: for TensorBoard while it trains, and for mmtf evaluate.

[C]: Chen, Zhu 2022.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from mmtf import text
from mmtf.data.dataset import Split
from mmtf.distributions.likelihood import shown_value
from mmtf.modality import Modality, subset_key
from mmtf.report import columns, figures, latent

Show = Mapping[str, Callable[[np.ndarray], "np.ndarray | list[str]"]]

SEED = (0, 0)
SAMPLES = 100
EXAMPLES = 10
PER_SOURCE = 8
# t-SNE of more points takes more than seconds; they are shared among the panels of a map.
POINTS = 1000
# Examples whose codes tell which dimensions vary.
VARIED_OVER = 500
# Of a code: those that vary most. More rows are more than one can compare.
DIMENSIONS = 5
STEPS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)


def of_model(model, test: Split, show: Show | None = None) -> dict[str, Figure]:
    """Figures by name: examples, random samples per modality, reconstructions, cross generations, style-content swaps, content
    with other styles, and of numbers the distribution of each column. None where no test example has all modalities.

    Args:
      model: anything with the verbs `generate`, `reconstruct`, `translate`, and `encode` and `decode` for the swaps.
      test: some examples of it that have all modalities are shown; see `chosen`.
      show: as `MultimodalData.show`.
    """
    complete = test.at(test.has(model.names))
    if not len(complete):
        return {}
    drawing = _Drawing(model, show or {})
    values = complete.take(chosen(complete))
    generated = {name: np.asarray(x) for name, x in model.generate(SAMPLES, seed=SEED).items()}
    return (
        {"examples": figures.examples_grid(drawing.shown(values), len(values[model.names[0]]))}
        | {f"random_{name}": figures.sample_grid(shown, 10) for name, shown in drawing.shown(generated).items()}
        | _distributions(model, test, generated)
        | {"reconstruction": drawing.reconstruction(values)}
        | drawing.cross(values)
        | drawing.swaps(values)
        | drawing.factors(values)
    )


def of_codes(model, test: Split, class_names: Sequence[str] = (), show: Show | None = None) -> dict[str, Figure]:
    """Return figures by name that say what the codes mean: `latent_map`, and `traversal_NAME` of each modality.

    The map is of the means of q(c|x_j) of each modality and of q(c|X), for at most `POINTS` codes in all. A traversal changes
    one dimension of the shared or of the modality's private code from -3 to 3 standard deviations of the prior, for each of
    the `DIMENSIONS` in which posterior means vary most; the rest of both codes is that of the first of the examples shown.

    Args:
      model: anything with the verbs `encode`, `posterior` and `decode`, and with a `prior`.
      test: those of it that have all modalities are used, drawn under a fixed seed; with none, there are no figures.
      class_names: of the labels; where these are attributes, the map has the colours of the one that parts them best.
      show: as `MultimodalData.show`.
    """
    complete = test.at(test.has(model.names))
    if not len(complete):
        return {}
    order = np.random.default_rng(SEED).permutation(len(complete))
    return _map(model, complete.at(order), class_names) | _traversals(_Drawing(model, show or {}), complete, order)


def chosen(complete: Split) -> np.ndarray:
    """Return index of the first example of each class, then of the others in order, `EXAMPLES` in all."""
    everything = np.arange(len(complete))
    if complete.label is None or complete.label.ndim > 1:
        return everything[:EXAMPLES]
    first = np.unique(complete.label, return_index=True)[1]
    return np.concatenate([first, np.setdiff1d(everything, first)])[:EXAMPLES]


def to_show(modality: Modality, values, show: Show | None = None):
    """Values as pictures (uint8, or floats in 0..1) or as strings: what `show` makes of them, or else by their kind."""
    values = np.asarray(values)
    if show and modality.name in show:
        return show[modality.name](values)
    if modality.alphabet:
        return text.decode(values)
    return values if values.dtype == np.uint8 else np.clip(values, 0.0, 1.0)


class _Drawing:
    """The grids of one model."""

    def __init__(self, model, show: Show):
        self.model, self._show = model, show

    def shown(self, values: Mapping) -> dict:
        return {name: to_show(self.model.modalities[name], x, self._show) for name, x in values.items()}

    def reconstruction(self, values: Mapping) -> Figure:
        count = len(values[self.model.names[0]])
        return figures.reconstruction_grid(self.shown(values), self.shown(self.model.reconstruct(values)), count)

    def cross(self, values: Mapping) -> dict[str, Figure]:
        """Per source: its examples, and samples of every other modality from each."""
        drawn = {}
        for source in self.model.names:
            targets = tuple(n for n in self.model.names if n != source)
            if targets:
                repeated = {source: np.repeat(values[source], PER_SOURCE, axis=0)}
                generated = self.shown(self.model.translate(repeated, to=targets, seed=SEED))
                by_source = {n: [x[i : i + PER_SOURCE] for i in range(0, len(x), PER_SOURCE)] for n, x in generated.items()}
                drawn[f"from_{source}"] = figures.cross_generation_grid(
                    source, self.shown({source: values[source]})[source], by_source
                )
        return drawn

    def swaps(self, values: Mapping) -> dict[str, Figure]:
        """Per modality with a private code: the shared code of the columns' examples with the private code of the rows'."""
        drawn = {}
        for name in (m.name for m in self.model.modalities.values() if m.private_dim):
            codes = self.model.encode({name: values[name]})
            shared, private = codes.shared[name].mean(), codes.private[name].mean()
            count = len(shared)
            decoded = self.model.decode(tf.tile(shared, [count, 1]), {name: tf.repeat(private, count, axis=0)}, to=(name,))
            cells = self.shown({name: shown_value(self.model.modalities[name], decoded[name])})[name]
            rows = [cells[i : i + count] for i in range(0, count * count, count)]
            shown = self.shown({name: values[name]})[name]
            drawn[f"swap_{name}"] = figures.swap_grid(shown, shown, rows)
        return drawn

    def factors(self, values: Mapping) -> dict[str, Figure]:
        """Per modality with a private code, as [C] Figure 4: what stays and what changes with another style.

        Its examples, decoded, and decoded with a random style; then the other modalities with the same shared code, with the
        source's own private code where it fits, and with a random one.
        """
        model, by_name = self.model, {}
        for source in (m.name for m in model.modalities.values() if m.private_dim):
            codes = model.encode({source: values[source]})
            shared, own = codes.shared[source].mean(), codes.private[source].mean()
            drawn = model.sample_private_prior(len(shared), SEED)
            columns = {source: {"given": values[source]}}
            for name, m in model.modalities.items():
                styles = {"same style": own} if m.private_dim == own.shape[-1] else {}
                styles |= {"other style": drawn[name]} if m.private_dim else {"decoded": None}
                for title, private in styles.items():
                    decoded = model.decode(shared, None if private is None else {name: private}, to=(name,))[name]
                    columns.setdefault(name, {})[title] = shown_value(m, decoded)
            shown = {name: {t: self.shown({name: x})[name] for t, x in part.items()} for name, part in columns.items()}
            by_name[f"factors_{source}"] = figures.columns_grid(shown)
        return by_name


def _distributions(model, test: Split, generated: Mapping[str, np.ndarray]) -> dict[str, Figure]:
    """Per modality of a few numbers: each column's distribution in the test split and in random samples."""
    few = [m for m in model.modalities.values() if len(m.event_shape) == 1 and m.size <= columns.MOST and not m.num_classes]
    return {
        f"columns_{m.name}": columns.distributions(test.at(test.has([m.name])).take(slice(None))[m.name], generated[m.name])
        for m in few
    }


def _map(model, drawn: Split, class_names: Sequence[str]) -> dict[str, Figure]:
    sets = dict.fromkeys([*((name,) for name in model.names), model.names])
    few = drawn.first(POINTS // len(sets))
    if len(few) * len(sets) < latent.FEWEST:
        return {}
    values, (label, names) = few.take(slice(None)), _classes(few.label, class_names)
    means = {subset_key(s, model.names): model.posterior(values, s).mean().numpy() for s in sets}
    return {"latent_map": latent.latent_map(means, label, names, seed=SEED[0])}


def _classes(label: np.ndarray | None, names: Sequence[str]) -> tuple[np.ndarray | None, Sequence[str]]:
    """Return one class for each example; of attributes `[N, L]`, having or lacking the one that is nearest to half of them."""
    if label is None or label.ndim == 1:
        return label, names
    best = int(np.abs(label.mean(axis=0) - 0.5).argmin())
    name = names[best] if len(names) else f"attribute {best}"
    return label[:, best], (f"not {name}", name)


def _traversals(drawing: _Drawing, complete: Split, order: np.ndarray) -> dict[str, Figure]:
    model, figures_of = drawing.model, {}
    values = complete.take(np.concatenate([chosen(complete)[:1], order[:VARIED_OVER]]))
    codes, shared = model.encode(values), model.posterior(values).mean().numpy()
    at = np.array(STEPS, np.float32) * float(model.prior.stddev()[0])
    for name in model.names:
        own = {"shared": shared} | ({"private": codes.private[name].mean().numpy()} if name in codes.private else {})
        rows, parts = _varied(own, at)
        private = {name: parts["private"]} if "private" in parts else None
        decoded = model.decode(parts["shared"], private, to=(name,))
        cells = drawing.shown({name: shown_value(model.modalities[name], decoded[name])})[name]
        rows = {title: cells[i * len(at) : (i + 1) * len(at)] for i, title in enumerate(rows)}
        figures_of[f"traversal_{name}"] = latent.traversal_grid(rows, STEPS)
    return figures_of


def _varied(means: Mapping[str, np.ndarray], at: np.ndarray) -> tuple[list[str], dict[str, tf.Tensor]]:
    """Titles of the rows of a traversal, and each code `[rows * len(at), D]`: row by row one dimension of one of them varies.

    Args: means: per code, those of the example whose code is varied, and of others `[1 + N, D]`.
    """
    varied = {kind: latent.most_varied(x[1:], DIMENSIONS) for kind, x in means.items()}
    codes = {}
    for kind, x in means.items():
        still = np.tile(x[0], (len(at), 1))
        blocks = [
            latent.along(x[0], d, at).reshape(-1, x.shape[1]) if k == kind else np.tile(still, (len(d), 1))
            for k, d in varied.items()
        ]
        codes[kind] = tf.constant(np.concatenate(blocks))
    return [f"{kind} {d}" for kind, dimensions in varied.items() for d in dimensions], codes
