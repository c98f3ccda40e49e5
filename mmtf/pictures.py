"""The pictures that show what a model does, drawn from its verbs: for TensorBoard while it trains, and for evaluate.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from mmtf.data import text
from mmtf.data.dataset import Split
from mmtf.modality import Modality
from mmtf.probability.likelihood import shown_value
from mmtf.report import columns, figures

Show = Mapping[str, Callable[[np.ndarray], "np.ndarray | list[str]"]]

SEED = (0, 0)
SAMPLES = 100
EXAMPLES = 10
PER_SOURCE = 8


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


def chosen(complete: Split) -> np.ndarray:
    """Index of the first example of each class, then of the others in order, `EXAMPLES` in all."""
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
        self._model, self._show = model, show

    def shown(self, values: Mapping) -> dict:
        return {name: to_show(self._model.modalities[name], x, self._show) for name, x in values.items()}

    def reconstruction(self, values: Mapping) -> Figure:
        count = len(values[self._model.names[0]])
        return figures.reconstruction_grid(self.shown(values), self.shown(self._model.reconstruct(values)), count)

    def cross(self, values: Mapping) -> dict[str, Figure]:
        """Per source: its examples, and samples of every other modality from each."""
        found = {}
        for source in self._model.names:
            targets = tuple(n for n in self._model.names if n != source)
            if targets:
                repeated = {source: np.repeat(values[source], PER_SOURCE, axis=0)}
                generated = self.shown(self._model.translate(repeated, to=targets, seed=SEED))
                by_source = {n: [x[i : i + PER_SOURCE] for i in range(0, len(x), PER_SOURCE)] for n, x in generated.items()}
                found[f"from_{source}"] = figures.cross_generation_grid(
                    source, self.shown({source: values[source]})[source], by_source
                )
        return found

    def swaps(self, values: Mapping) -> dict[str, Figure]:
        """Per modality with a private code: the shared code of the columns' examples with the private code of the rows'."""
        found = {}
        for name in (m.name for m in self._model.modalities.values() if m.private_dim):
            codes = self._model.encode({name: values[name]})
            shared, private = codes.shared[name].mean(), codes.private[name].mean()
            count = len(shared)
            decoded = self._model.decode(tf.tile(shared, [count, 1]), {name: tf.repeat(private, count, axis=0)}, to=(name,))
            cells = self.shown({name: shown_value(self._model.modalities[name], decoded[name])})[name]
            rows = [cells[i : i + count] for i in range(0, count * count, count)]
            shown = self.shown({name: values[name]})[name]
            found[f"swap_{name}"] = figures.swap_grid(shown, shown, rows)
        return found

    def factors(self, values: Mapping) -> dict[str, Figure]:
        """Per modality with a private code, as [C] Figure 4: what stays and what changes with another style.

        Its examples, decoded, and decoded with a random style; then the other modalities with the same shared code, with the
        source's own private code where it fits, and with a random one.
        """
        model, found = self._model, {}
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
            found[f"factors_{source}"] = figures.columns_grid(shown)
        return found


def _distributions(model, test: Split, generated: Mapping[str, np.ndarray]) -> dict[str, Figure]:
    """Per modality of a few numbers: each column's distribution in the test split and in random samples."""
    few = [m for m in model.modalities.values() if len(m.event_shape) == 1 and m.size <= columns.MOST and not m.num_classes]
    return {
        f"columns_{m.name}": columns.distributions(test.at(test.has([m.name])).take(slice(None))[m.name], generated[m.name])
        for m in few
    }
