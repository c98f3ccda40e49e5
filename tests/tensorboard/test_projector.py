"""TensorBoard's projector, asked as its page does: codes with labels and pictures, held against the model."""

import dataclasses
import json

import numpy as np
import tensorflow as tf
from dashboards import context
from small_runs import arrays, config
from tensorboard.plugins.projector import projector_plugin
from werkzeug.test import Client

from mmtf import registry
from mmtf.tensorboard import projector


class Projector:
    """Asks TensorBoard's projector as its page does."""

    def __init__(self, folder):
        plugin = projector_plugin.ProjectorPlugin(context(folder))
        self._apps = plugin.get_plugin_apps()
        plugin._update_configs()

    def ask(self, what, **arguments):
        answer = Client(self._apps[what]).get("/", query_string=arguments)
        assert answer.status_code == 200, answer.get_data()
        return answer.get_data()


def test_the_projector_has_the_codes_with_labels_and_pictures(watched, model, data):
    page, run = Projector(watched.path.parent), "run/logs"
    assert run in json.loads(page.ask("/runs"))
    found = {e["tensorName"]: e for e in json.loads(page.ask("/info", run=run))["embeddings"]}
    count = len(data.test.first(projector.EXAMPLES))
    assert {n: e["tensorShape"] for n, e in found.items()} == {
        "shared": [3 * count, 4],
        "private_picture": [count, 2],
        "private_word": [count, 2],
    }
    points = np.frombuffer(page.ask("/tensor", run=run, name="shared", num_rows=10_000), np.float32).reshape(-1, 4)
    values = data.test.first(count).take(slice(None))
    posteriors = model.posteriors(values)
    expected = [posteriors[key].mean().numpy() for key in (("picture",), ("word",), ("picture", "word"))]
    np.testing.assert_allclose(points, np.concatenate(expected), rtol=1e-4, atol=1e-5)
    labels = [line.split("\t") for line in page.ask("/metadata", run=run, name="shared", num_rows=10_000).decode().splitlines()]
    assert labels[0] == ["given", "example", "class"]
    assert labels[1] == ["picture", "0", data.class_names[data.test.label[0]]]
    assert labels[count + 3] == ["word", "2", data.class_names[data.test.label[2]]]
    assert labels[-1] == ["picture,word", str(count - 1), data.class_names[data.test.label[count - 1]]]
    side = found["shared"]["sprite"]["singleImageDim"][0]
    sheet = tf.io.decode_png(page.ask("/sprite_image", run=run, name="private_picture")).numpy()
    across = sheet.shape[1] // side
    for number in (0, 1, across, count - 1):
        row, column = divmod(number, across)
        shown = sheet[row * side : (row + 1) * side, column * side : (column + 1) * side, 0]
        picture = values["picture"][number, :, :, 0]
        # Magnified to squares of pixels: the very values, each of them at least twice.
        places = ((np.arange(len(picture)) + 0.5) * side / len(picture)).astype(int)
        np.testing.assert_array_equal(shown[np.ix_(places, places)], picture)


def test_values_that_cannot_be_seen_have_points_without_pictures(tmp_path):
    attributes, settings = np.random.default_rng(0).integers(0, 2, size=(90, 3)), config()
    data = arrays(attributes)
    found = registry.build_model(settings, registry.configure(data.modalities, settings.model))
    projector.write(tmp_path, found, dataclasses.replace(data, show={}))
    folder, names = tmp_path / projector.FOLDER, ("shared", "private_a", "private_b")
    files = {f"{name}{end}.tsv" for name in names for end in ("", "_labels")}
    assert {path.name for path in folder.iterdir()} == {"projector_config.pbtxt"} | files
    header, first, *_ = (folder / "shared_labels.tsv").read_text().splitlines()
    assert header.split("\t")[:2] == ["given", "example"]
    assert first.split("\t")[2:] == [str(int(x)) for x in data.test.label[0]]


def test_names_of_classes_and_attributes_keep_the_table_whole(tmp_path):
    """A tab or a newline in a name would move all cells behind it; an attribute may be called as a column is."""
    settings, rng = config(), np.random.default_rng(0)
    by_class = arrays(np.arange(90) % 3)
    by_class = dataclasses.replace(by_class, class_names=("T\tcell", "B\n cell", "\r\n"))
    attributes = arrays(rng.integers(0, 2, size=(90, 3)))
    attributes = dataclasses.replace(attributes, class_names=("given", "example", "a\tb"))
    for name, data in {"class": by_class, "attributes": attributes}.items():
        found = registry.build_model(settings, registry.configure(data.modalities, settings.model))
        projector.write(tmp_path / name, found, dataclasses.replace(data, show={}))
        lines = (tmp_path / name / projector.FOLDER / "shared_labels.tsv").read_text().splitlines()
        assert len(lines) == 1 + 3 * len(data.test)
        table = [line.split("\t") for line in lines]
        assert {len(row) for row in table} == {len(table[0])}
        if name == "class":
            shown = ("T cell", "B cell", "-")
            assert [row[2] for row in table[1 : len(data.test) + 1]] == [shown[k] for k in data.test.label]
        else:
            assert table[0] == ["given", "example", "given (attribute)", "example (attribute)", "a b"]
            assert [row[0] for row in table[1:]] == [k for k in ("a", "b", "a,b") for _ in range(len(data.test))]
            assert [[int(x) for x in row[2:]] for row in table[1 : len(data.test) + 1]] == data.test.label.tolist()


def test_nothing_is_written_of_data_without_complete_examples(tmp_path, model, data):
    missing = {"picture": np.zeros(len(data.test), bool), "word": np.ones(len(data.test), bool)}
    projector.write(tmp_path, model, dataclasses.replace(data, test=dataclasses.replace(data.test, mask=missing)))
    assert list(tmp_path.iterdir()) == []
