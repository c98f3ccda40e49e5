"""CelebA: which image has which text and labels, from original files or TFDS, and what is kept of it."""

import itertools
import logging
import os
from pathlib import Path

import numpy as np
import pytest
import small_celeba
import tensorflow as tf
import tensorflow_datasets as tfds
from dataset_contract import DatasetContract
from original_files import REAL, needs_real
from small_celeba import PARTS, PRESENT, attribute_lines, grey, jpeg, numbers, write_lines, write_partition

from mmtf import text
from mmtf.config import DataConfig
from mmtf.data import cache, celeba, celeba_files
from mmtf.errors import UserError

SHADOW = "5 o'clock shadow"


def cached():
    return [path.name for path in cache.folder().iterdir()]


@pytest.fixture
def root(own_folder, tmp_path):
    return small_celeba.miniature(tmp_path / "data")


class TestContract(DatasetContract):
    @pytest.fixture
    def data(self, root):
        return small_celeba.load(root)

    @pytest.fixture
    def again(self, root, data):
        return small_celeba.load(root)


def test_every_image_has_its_own_text_and_labels_and_is_in_its_part(root):
    data = small_celeba.load(root)
    assert data.class_names[:3] == (SHADOW, "arched eyebrows", "attractive")
    assert data.multi_label
    for split, part in ((data.train, 0), (data.test, 2)):
        wanted = np.flatnonzero(part == PARTS)
        values = split.take(np.arange(len(split)))
        assert numbers(values["image"]) == wanted.tolist()
        np.testing.assert_array_equal(split.label, PRESENT[wanted])
        for said, row in zip(text.decode(values["text"]), PRESENT[wanted], strict=True):
            names = [name for name, there in zip(data.class_names, row, strict=True) if there]
            # Cut texts name the first attributes; here none of them is shorter by more than half.
            assert said.rstrip("*") in (", ".join(names[:k]) for k in range(len(names) // 2, len(names) + 1))


def test_values_modalities_and_weights_are_those_of_the_paper(root):
    data = small_celeba.load(root)
    image, words = data.modalities
    assert (image.event_shape, image.likelihood, image.likelihood_weight) == ((64, 64, 3), "laplace", 1.0)
    assert (words.event_shape, words.likelihood, words.likelihood_weight) == ((256,), "categorical", 3 * 64 * 64 / 256)
    assert (words.num_classes, words.alphabet) == (71, text.ALPHABET)
    assert {name: (pool.dtype, pool.shape[1:]) for name, pool in data.train.pools.items()} == {
        "image": (np.uint8, (64, 64, 3)),
        "text": (np.uint8, (256,)),
    }
    assert text.decode(data.train.pools["text"][:1]) == ["*" * 256]  # image 0 has no attribute


def test_the_sources_say_what_was_used_and_that_it_is_a_part(root):
    assert small_celeba.load(root).sources == {
        "celeba": "original files, parted by list_eval_partition.txt: 7 training and 3 test examples; 2 images for validation "
        "are not used (the whole set has 162,770 and 19,962)"
    }


def test_the_names_follow_the_order_of_the_file(root):
    order = np.random.default_rng(1).permutation(40)
    names = [celeba_files.ATTRIBUTES[i] for i in order]
    write_lines(root / "list_attr_celeba.txt", attribute_lines(PRESENT[:, order], names))
    data = small_celeba.load(root)
    assert data.class_names == celeba.readable(names)
    np.testing.assert_array_equal(data.train.label, PRESENT[PARTS == 0][:, order])
    first = text.decode(data.train.pools["text"][1:2])[0].split(",")[0]
    assert first == next(name for name, there in zip(data.class_names, PRESENT[1, order], strict=True) if there)


def test_people_see_texts_without_their_filling(root):
    data = small_celeba.load(root)
    shown = data.show["text"](data.test.pools["text"])
    assert shown == celeba.strings(data.test.label, data.class_names)
    assert not any("*" in string for string in shown)


def test_strings_are_those_of_table_12():
    names = celeba.readable(celeba_files.ATTRIBUTES)
    rows = [
        "big nose, male, no beard, young",
        "5 o'clock shadow, bags under eyes, big nose, bushy eyebrows, chubby, double chin, gray hair, high cheekbones, male, "
        "mouth slightly open, no beard, smiling, straight hair, wearing necktie",
        "attractive, brown hair, heavy makeup, high cheekbones, mouth slightly open, no beard, oval face, pointy nose, "
        "smiling, wavy hair, wearing earrings, wearing lipstick, young",
    ]
    present = np.array([[name in row.split(", ") for name in names] for row in rows], np.int8)
    assert celeba.strings(present, names) == rows


def test_a_string_ends_after_the_last_whole_name_that_fits():
    names = celeba.readable(celeba_files.ATTRIBUTES)
    for row, length in itertools.product(PRESENT, (0, 3, 16, 31, 100, 255, 256, 257, 600)):
        kept = [name for name, there in zip(names, row, strict=True) if there]
        while len(", ".join(kept)) > length:  # as the authors' release does it
            kept.pop()
        assert celeba.strings(row[None], names, length) == [", ".join(kept)]


def test_cut_texts_are_counted_and_their_labels_stay_whole(root, caplog):
    present = PRESENT.copy()
    present[[1, 4]] = 1
    write_lines(root / "list_attr_celeba.txt", attribute_lines(present))
    names = celeba.readable(celeba_files.ATTRIBUTES)
    too_long = sum(len(", ".join(itertools.compress(names, row))) > 256 for row in present[PARTS == 0])
    assert too_long >= 2
    with caplog.at_level(logging.INFO):
        data = small_celeba.load(root)
    assert f"{too_long} of 7 texts are longer than 256 and were cut" in caplog.text
    np.testing.assert_array_equal(data.train.label, present[PARTS == 0])
    assert all(len(t.rstrip("*")) > 256 - len(", mouth slightly open") for t in text.decode(data.train.pools["text"][[1, 2]]))


def test_a_fraction_keeps_fixed_training_examples_and_all_test_examples(root):
    whole, part, smaller = (small_celeba.load(root, data_fraction=f) for f in (1.0, 0.6, 0.3))
    assert [len(d.train) for d in (whole, part, smaller)] == [7, 4, 2]
    assert [len(d.test) for d in (whole, part, smaller)] == [3, 3, 3]
    assert set(smaller.train.rows["image"]) < set(part.train.rows["image"])
    np.testing.assert_array_equal(part.train.rows["image"], part.train.rows["text"])
    np.testing.assert_array_equal(part.train.label, whole.train.label[part.train.rows["image"]])
    np.testing.assert_array_equal(part.train.rows["image"], small_celeba.load(root, data_fraction=0.6).train.rows["image"])
    others = [small_celeba.load(root, data_fraction=0.6, data_seed=seed).train.rows["image"].tolist() for seed in range(1, 6)]
    assert others != [part.train.rows["image"].tolist()] * 5


def test_images_are_decoded_once_and_again_when_a_file_changes(root, monkeypatch):
    decoded = []
    original = celeba_files.decode
    monkeypatch.setattr(celeba_files, "decode", lambda *a: decoded.append(1) or original(*a))
    first = small_celeba.load(root)
    again = small_celeba.load(root, data_fraction=0.5, skip_damaged=True)
    assert len(decoded) == 1
    np.testing.assert_array_equal(first.train.pools["image"], again.train.pools["image"])
    path = root / "img_align_celeba" / "000001.jpg"
    before = path.stat()
    path.write_bytes(jpeg(grey(3)).ljust(before.st_size, b"\0")[: before.st_size])  # of the same size
    os.utime(path, ns=(0, before.st_mtime_ns + 1))
    assert numbers(small_celeba.load(root).train.pools["image"])[0] == 3
    write_partition(root / "list_eval_partition.txt", np.roll(PARTS, 1))
    small_celeba.load(root)
    assert len(decoded) == 3
    assert len(cached()) == 3


def test_without_files_tfds_is_asked_and_says_the_ways_out(own_folder, tmp_path):
    with pytest.raises(UserError, match="TFDS has not prepared celeb_a"):
        celeba.load(DataConfig(dataset="celeba", data_dir=str(tmp_path)))


def tfds_examples(builder, split="train", **_):
    """Examples like those of TFDS, in which the attributes come by name and in another order."""
    which = np.flatnonzero({"train": 0, "test": 2}[str(split)] == PARTS)
    features = {
        "image": np.stack([grey(n) for n in which]),
        "attributes": {name: PRESENT[which, i].astype(bool) for i, name in reversed([*enumerate(celeba_files.ATTRIBUTES)])},
    }
    return tf.data.Dataset.from_tensor_slices(features)


def test_tfds_gives_the_same_as_the_files(root, monkeypatch):
    files = small_celeba.load(root)
    config = DataConfig(dataset="celeba", download=True)
    with tfds.testing.mock_data(as_dataset_fn=tfds_examples, policy=tfds.testing.MockPolicy.USE_CODE):
        for _ in range(2):  # decoded, and then from the cache
            data = celeba.load(config)
            assert data.class_names == files.class_names
            assert data.modalities == files.modalities
            for split, other in ((data.train, files.train), (data.test, files.test)):
                assert np.abs(split.pools["image"].astype(int) - other.pools["image"]).max() <= 1  # no JPEG between
                np.testing.assert_array_equal(split.pools["text"], other.pools["text"])
                np.testing.assert_array_equal(split.label, other.label)
            assert data.sources == {
                "celeba": "TFDS celeb_a: 7 training and 3 test examples (the whole set has 162,770 and 19,962)"
            }
            monkeypatch.setattr(celeba_files, "picture", None)
    assert len(cached()) == 3


def test_the_attributes_and_images_of_tfds_itself_fit(own_folder):
    with tfds.testing.mock_data(num_examples=3, policy=tfds.testing.MockPolicy.USE_CODE):
        data = celeba.load(DataConfig(dataset="celeba", download=True))
        names = tfds.builder("celeb_a").info.features["attributes"].keys()
    assert sorted(names) == sorted(celeba_files.ATTRIBUTES)
    assert data.train.pools["image"].shape == (3, 64, 64, 3)
    assert data.train.label.shape == (3, 40)


def test_the_names_are_those_of_tfds_in_the_order_of_the_original_file():
    headings = pytest.importorskip("tensorflow_datasets.datasets.celeb_a.celeb_a_dataset_builder").ATTR_HEADINGS
    assert tuple(headings) == celeba_files.ATTRIBUTES


@needs_real("celeba/list_local_partition.txt")
def test_the_real_images_are_parted_and_labelled_as_their_lists_say(own_folder):
    data, place = celeba.load(DataConfig(dataset="celeba", data_dir=REAL)), Path(REAL) / "celeba"
    assert (len(data.train), len(data.test)) == (8000, 1000)
    assert "list_local_partition.txt" in data.sources["celeba"]
    parts = dict(line.split() for line in (place / "list_local_partition.txt").read_text().splitlines())
    rows = [line.split() for line in (place / "list_attr_celeba.txt").read_text().splitlines()[2:]]
    for split, part in ((data.train, "0"), (data.test, "2")):
        wanted = np.array([[word == "1" for word in row[1:]] for row in rows if parts[row[0]] == part])
        np.testing.assert_array_equal(split.label, wanted)
        images = split.pools["image"]
        assert images.shape == (len(wanted), 64, 64, 3)
        assert len({image.tobytes() for image in images}) == len(images)
        # The image at a place belongs to the label there: hair and skin are darker or lighter as the attributes say.
        brightness = images.mean(axis=(1, 2, 3))
        for name, sign in (("blond hair", 1), ("black hair", -1), ("pale skin", 1)):
            has = split.label[:, data.class_names.index(name)] == 1
            assert sign * (brightness[has].mean() - brightness[~has].mean()) > 5
