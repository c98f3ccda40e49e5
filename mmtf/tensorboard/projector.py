"""TensorBoard's embedding projector: codes of test examples with their pictures and labels."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
from google.protobuf import text_format
from tensorboard.plugins.projector import metadata
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

from mmtf import evaluation
from mmtf.data.dataset import MultimodalData, Split
from mmtf.evaluation import figures as model_figures
from mmtf.modality import subset_key
from mmtf.report import canvas, sprites
from mmtf.runs import write_atomically

EXAMPLES = 1000
# Where TensorBoard looks for files of this plugin, below a run's logs.
FOLDER = Path(metadata.PLUGINS_DIR, metadata.PLUGIN_ASSETS_NAME)


class Embeddings(keras.callbacks.Callback):
    """Writes embeddings every so many epochs, in place of those before."""

    def __init__(self, logs: Path, data: MultimodalData, every: int):
        super().__init__()
        self._logs, self._data, self._every = logs, data, every
        self._moments = None

    def on_epoch_end(self, epoch, logs=None):
        # Of the run, not of this session.
        if self._every and (epoch + 1) % self._every == 0:
            self._moments = self._moments or evaluation.moments_graph(self.model)
            write(self._logs, self.model, self._data, graph=self._moments)


def write(logs: Path, model, data: MultimodalData, examples: int = EXAMPLES, *, graph=None) -> None:
    """Write posterior means of the first complete test examples as points, below a run's logs.

    `shared` has the means of q(c|x_j) of each modality and of q(c|X), one after the other, so that one map shows whether they
    agree; `private_NAME` those of q(s_j|x_j). A point is labelled with the example, what the code is of, and its class or
    attributes, and shown as the value it is of; one of q(c|X) as all of them.

    Args:
      model: anything with the verbs `encode` and `posteriors`.
      graph: as for `evaluate.moments`.
      examples: how many at most. Where no test example has all modalities, nothing is written.
    """
    complete = data.test.at(data.test.has(model.names)).first(examples)
    if not len(complete):
        return
    shared, private = evaluation.moments(model, complete, graph)
    tiles = _Tiles(model, complete, data)
    given = list(dict.fromkeys([*((name,) for name in model.names), model.names]))
    config = ProjectorConfig()
    _add(logs, config, "shared", {key: shared[key][0] for key in given}, model.names, complete, data, tiles)
    for key, (means, _) in private.items():
        _add(logs, config, f"private_{key[0]}", {key: means}, model.names, complete, data, tiles)
    # Last: it names the others.
    write_atomically(logs / FOLDER / metadata.PROJECTOR_FILENAME, text_format.MessageToString(config).encode())


def _add(
    logs: Path,
    config: ProjectorConfig,
    name: str,
    means: Mapping[tuple[str, ...], np.ndarray],
    names: Sequence[str],
    examples: Split,
    data: MultimodalData,
    tiles: _Tiles,
) -> None:
    embedding = config.embeddings.add(tensor_name=name, tensor_path=f"{name}.tsv", metadata_path=f"{name}_labels.tsv")
    points = np.concatenate(list(means.values()))
    lines = ["\t".join(f"{x:.6g}" for x in point) for point in points]
    write_atomically(logs / FOLDER / embedding.tensor_path, ("\n".join(lines) + "\n").encode())
    labels = _labels([subset_key(key, names) for key in means], examples, data)
    write_atomically(logs / FOLDER / embedding.metadata_path, labels.encode())
    drawn = [tile for key in means for tile in tiles.of(key)]
    if drawn:
        embedding.sprite.image_path = f"{name}.png"
        embedding.sprite.single_image_dim.extend([sprites.SIDE, sprites.SIDE])
        content = io.BytesIO()
        sprites.sheet(drawn).save(content, "png")
        write_atomically(logs / FOLDER / embedding.sprite.image_path, content.getvalue())


def _labels(given: Sequence[str], examples: Split, data: MultimodalData) -> str:
    """A header and a line per point."""
    columns = {"given": [], "example": []}
    for key in given:
        columns["given"] += [key] * len(examples)
        columns["example"] += range(len(examples))
    label = examples.label
    if label is not None and label.ndim == 1:
        columns["class"] = [_cell(data.class_names[x] if data.class_names else x) for x in label] * len(given)
    elif label is not None:
        for number, name in enumerate(data.class_names or map(str, range(label.shape[1]))):
            columns[_free(_cell(name), columns)] = list(label[:, number]) * len(given)
    rows = zip(*columns.values(), strict=True)
    return "".join("\t".join(map(str, row)) + "\n" for row in [tuple(columns), *rows])


def _cell(name) -> str:
    """Return a name as one cell of the table, whose lines end at newlines and whose cells end at tabs."""
    return " ".join(str(name).split()) or "-"


def _free(name: str, taken: Collection[str]) -> str:
    """Return a header of its own for an attribute."""
    while name in taken:
        name = f"{name} (attribute)"
    return name


class _Tiles:
    """The picture of each example, from some of its modalities; none where these cannot be shown."""

    def __init__(self, model, examples: Split, data: MultimodalData):
        values = {
            name: model_figures.to_show(m, examples.take(slice(None))[name], data.show) for name, m in model.modalities.items()
        }
        self._cells = {name: canvas.cells(x, name, magnified=False) for name, x in values.items() if _can_be_seen(x)}

    def of(self, names: Sequence[str]) -> list[np.ndarray]:
        tiles = [self._cells[name] for name in names if name in self._cells]
        return [sprites.tile(cells) for cells in zip(*tiles, strict=True)] if tiles else []


def _can_be_seen(values) -> bool:
    return isinstance(values, list) or (np.ndim(values) == 4 and np.shape(values)[-1] in (1, 3))
