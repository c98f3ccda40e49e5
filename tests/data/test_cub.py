"""CUB: the original layout and TFDS as sources, what a key depends on, and the data set made of prepared features."""

import json
import logging
import shutil

import numpy as np
import pytest
from dataset_contract import DatasetContract
from original_files import REAL, needs_real
from PIL import Image
from small_cub import COLOURS, miniature
from tfds_folders import prepare as prepare_tfds

from mmtf import modality
from mmtf.config import DataConfig
from mmtf.data import cache, cub, cub_files
from mmtf.errors import UserError

# Decoder of a vocabulary of 3, whose only word is said once, whatever the feature.
DECODER = {
    "words/embeddings": np.eye(3, 2),
    "condition/kernel": np.zeros((4, 1)),
    "condition/bias": np.zeros(1),
    "hidden/kernel": np.zeros((4, 1)),
    "hidden/bias": np.zeros(1),
    "memory/kernel": np.zeros((4, 1)),
    "memory/bias": np.zeros(1),
    # The candidate is 1 after the end (embedding 1, 0) and -1 after the word (0, 0); the gates are open, nothing is remembered.
    "lstm/kernel": np.array([[0, 0, 100, 0], [0, 0, 0, 0], [0, 0, 0, 0]], float),
    "lstm/recurrent_kernel": np.zeros((1, 4)),
    "lstm/bias": np.array([50, -50, -50, 50], float),
    "next/kernel": np.array([[-1, 0, 1]], float),
    "next/bias": np.zeros(3),
}


@pytest.fixture
def place(own_folder, tmp_path):
    """The miniature's folder that holds text_c10."""
    return miniature(tmp_path / "data") / "cub"


def config_of(place, **options):
    return DataConfig(dataset="cub", data_dir=str(place), **options)


def birds(place, **options):
    return list(cub_files.birds(place, config_of(place, **options)))


def edit(path, old, new):
    content = path.read_text()
    assert old in content
    path.write_text(content.replace(old, new, 1))


def arrays(captions_per_image=(3,) * 10, damaged=()):
    """What a prepared file holds, of 10 images of 3 classes: features that tell their image and their caption."""
    rng = np.random.default_rng(0)
    image = np.repeat(np.arange(10), captions_per_image)
    turn = np.concatenate([np.arange(count) for count in captions_per_image])
    record = {
        "origin": "original files",
        "settings": {"image_features": "classes"},
        "damaged": list(damaged),
        "captions": {"trained_on": 1234},
    }
    return {
        "image/features": np.stack([np.arange(10), np.full(10, 7), rng.normal(size=10)], axis=1).astype(np.float32),
        "image/picture": np.broadcast_to(np.arange(10, dtype=np.uint8)[:, None, None, None], (10, 64, 64, 3)),
        "image/train": np.array([1, 0, 1, 1, 0, 1, 1, 0, 1, 1], bool),
        "image/label": np.array([0, 0, 0, 1, 1, 1, 1, 2, 2, 2]),
        "caption/features": np.stack([image, turn, *rng.normal(size=(2, len(image)))], axis=1).astype(np.float32),
        "caption/image": image,
        "classes": np.array(["001.Red_bird", "003.Green_sea_bird", "plain"]),
        "vocabulary": np.array(["", "<unknown>", "chirp"]),
        "record": np.array(json.dumps(record)),
        **{f"decoder/{name}": weight.astype(np.float32) for name, weight in DECODER.items()},
    }


def load(place, kind="classes", content=None, **options):
    """The data set of a handmade prepared file."""
    folder = place.parent / "kept"
    path = cub.prepared_file(folder, cub.input_key(place), kind)
    cache.arrays(path, lambda: arrays() if content is None else content, "a test's features")
    return cub.load(config_of(place, **options), str(folder))


class TestContract(DatasetContract):
    @pytest.fixture
    def data(self, place):
        return load(place)

    @pytest.fixture
    def again(self, place):
        return load(place)


def test_birds_are_as_the_lists_say(place):
    found = birds(place)
    assert [b.name for b in found[:6]] == [f"001.Red_bird/Bird_{n}" for n in range(5)] + ["002.Blue_bird/Bird_0"]
    assert [b.class_name for b in found] == [name for name in COLOURS for _ in range(5)]
    assert [b.train for b in found] == [True, True, True, False, False] * 4
    assert found[2].box == (12.0, 6.0, 24.0, 24.0)
    picture = found[6].picture()
    assert picture.size == (60, 48)
    assert np.argmax(np.asarray(picture)[18, 22]) == 2  # blue, in the middle of its box
    captions = cub_files.read_captions(cub_files.caption_files(place))
    assert len(captions) == 21
    assert "001.Red_bird/Bird_0" not in captions
    assert captions["003.Green_bird/Bird_4"][0] == "This little bird is green, with a long belly."


def test_lists_go_with_any_part_of_the_images_and_without_boxes(place, caplog):
    (place / "CUB_200_2011/images/001.Red_bird/Bird_1.jpg").unlink()
    (place / "CUB_200_2011/bounding_boxes.txt").unlink()
    found = birds(place)
    assert [b.name for b in found if b.picture is None] == ["001.Red_bird/Bird_1"]
    assert {b.box for b in found} == {None}
    assert "1 of the 20 images that images.txt names are not there" in caplog.text


def test_the_data_folder_may_be_the_one_that_holds_the_captions(place):
    assert cub_files.folder(str(place)) == cub_files.folder(str(place.parent)) == place


def test_the_digest_is_of_lists_captions_and_images_and_not_of_the_place(place, tmp_path):
    before = cub_files.digest(place)
    copy = shutil.copytree(place, tmp_path / "copy")
    assert cub_files.digest(copy) == before
    changes = [
        lambda: edit(place / "text_c10/004.White_bird/Bird_3.txt", "white", "snowy"),
        lambda: edit(place / "CUB_200_2011/train_test_split.txt", "3 1", "3 0"),
        lambda: edit(place / "CUB_200_2011/bounding_boxes.txt", "3 12.0", "3 11.0"),
        lambda: (place / "CUB_200_2011/images/001.Red_bird/Bird_1.jpg").unlink(),
        lambda: Image.new("RGB", (9, 9)).save(place / "CUB_200_2011/images/001.Red_bird/Bird_2.jpg"),
        lambda: (place / "text_c10/004.White_bird/Bird_3.txt").rename(place / "text_c10/004.White_bird/Bird_9.txt"),
        lambda: shutil.rmtree(place / "CUB_200_2011/images"),
    ]
    seen = [before]
    for change in changes:
        change()
        seen.append(cub_files.digest(place))
    assert len(set(seen)) == len(seen)


def test_captions_are_read_as_they_are(place, caplog):
    file = place / "text_c10/001.Red_bird/Bird_2.txt"
    file.write_bytes(b"A caf\xe9 bird.\r\n\n  one with a tail \n ...\n")
    found = cub_files.read_captions(cub_files.caption_files(place))
    assert found["001.Red_bird/Bird_2"] == ["A caf\ufffd bird.", "one with a tail"]
    assert "1 of 21 caption files have other than 10 captions" in caplog.text
    assert "Bird_2.txt has 2" in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: shutil.rmtree(p / "text_c10"), "captions are wanted as text_c10/<class>/<image>.txt, and .* have none"),
        (lambda p: [f.unlink() for f in p.glob("text_c10/*/*.txt")], "text_c10 holds no captions"),
        (lambda p: (p / "text_c10/001.Red_bird/Bird_2.txt").write_text("\n"), "Bird_2.txt holds no caption, where 10"),
        (lambda p: (p / "CUB_200_2011/classes.txt").unlink(), "CUB_200_2011 has images, but no classes.txt"),
        (lambda p: edit(p / "CUB_200_2011/images.txt", "3 001", "three 001"), "images.txt, line 3: wanted a number of its own"),
        (lambda p: edit(p / "CUB_200_2011/images.txt", "3 001", "2 001"), "images.txt, line 3: wanted a number of its own"),
        (lambda p: edit(p / "CUB_200_2011/bounding_boxes.txt", "3 12.0", "3"), "boxes.txt, line 3: .* and 4 numbers"),
        (lambda p: edit(p / "CUB_200_2011/bounding_boxes.txt", "3 12.0", "3 x"), "boxes.txt: wanted four numbers for image 3"),
        (lambda p: edit(p / "CUB_200_2011/bounding_boxes.txt", "24.0", "0"), "the box of image 1 is 0.0x24.0 pixels"),
        (lambda p: edit(p / "CUB_200_2011/train_test_split.txt", "3 1", "3 2"), "wanted 1 .training. or 0 .test. for image 3"),
        (lambda p: edit(p / "CUB_200_2011/train_test_split.txt", "3 1\n", ""), "train_test_split.txt has no line for number 3"),
        (lambda p: edit(p / "CUB_200_2011/image_class_labels.txt", "3 1\n", "3 9\n"), "classes.txt has no line for number 9"),
        (lambda p: (p / "CUB_200_2011/images.txt").write_bytes(b"\xff\xfe"), "images.txt cannot be read as text"),
        (lambda p: [f.unlink() for f in p.glob("CUB_200_2011/images/*/*.jpg")], "holds none of the 20 images"),
    ],
)
def test_what_cannot_be_read_is_named(place, change, message):
    change(place)
    with pytest.raises(UserError, match=message):
        cub_files.read_captions(cub_files.caption_files(cub_files.folder(str(place))))
        birds(place)


def test_a_folder_must_be_named(monkeypatch):
    monkeypatch.delenv("MMTF_DATA_DIR", raising=False)
    with pytest.raises(UserError, match="no folder was named; name the folder that holds text_c10"):
        cub.load(DataConfig(dataset="cub"))


def test_images_may_come_from_tfds(place):
    from_files = birds(place)
    parts = {"train": [], "test": []}
    for bird in from_files:
        left, upper, width, height = bird.box
        edges = [upper / 48, left / 60, (upper + height) / 48, (left + width) / 60]
        example = {
            "image": np.asarray(bird.picture()),
            "image/filename": f"CUB_200_2011/images/{bird.name}.jpg",
            "label": list(COLOURS).index(bird.class_name),
            "label_name": bird.class_name,
            "bbox": np.array(edges, np.float32),
            "segmentation_mask": np.zeros((48, 60, 1), np.uint8),
        }
        parts["train" if bird.train else "test"].append(example)
    shutil.rmtree(place / "CUB_200_2011/images")
    with pytest.raises(UserError, match="TFDS has not prepared caltech_birds2011"):
        birds(place)
    prepare_tfds(place, cub_files.TFDS_NAME, parts)
    found = {bird.name: bird for bird in birds(place)}
    assert set(found) == {bird.name for bird in from_files}
    for bird in from_files:
        same = found[bird.name]
        assert (same.class_name, same.train) == (bird.class_name, bird.train)
        np.testing.assert_allclose(same.box, bird.box, atol=1e-4)
        assert np.asarray(same.picture()).shape == (48, 60, 3)


def test_every_image_meets_each_of_its_captions_turn_by_turn(place):
    data = load(place)
    for split, images in ((data.train, [0, 2, 3, 5, 6, 8, 9]), (data.test, [1, 4, 7])):
        values = split.take(slice(None))
        assert values["image"][:, 0].tolist() == values["caption"][:, 0].tolist() == images * 3
        assert values["caption"][:, 1].tolist() == np.repeat([0, 1, 2], len(images)).tolist()
        assert split.mask is None
    assert data.train.label.tolist() == [0, 0, 1, 1, 1, 2, 2] * 3
    assert data.test.label.dtype == np.int64
    assert data.names == ("image", "caption")
    assert data.class_names == ("Red bird", "Green sea bird", "plain")


def test_images_may_have_different_numbers_of_captions(place):
    data = load(place, content=arrays((3, 1, 1, 2, 3, 3, 1, 2, 2, 2)))
    values = data.train.take(slice(None))
    assert values["image"][:, 0].tolist() == [0, 2, 3, 5, 6, 8, 9, 0, 3, 5, 8, 9, 0, 5]
    np.testing.assert_array_equal(values["image"][:, 0], values["caption"][:, 0])


def test_features_are_standardised_by_the_training_part(place):
    data = load(place)
    features = arrays()["image/features"][arrays()["image/train"]].astype(float)
    image, caption = data.modalities
    np.testing.assert_allclose(image.location, features.mean(axis=0))
    # The second feature is the same everywhere: its spread is a tenth of the root mean square of all.
    spread = features.std(axis=0)
    spread[1] = 0.1 * np.sqrt(np.mean(spread**2))
    np.testing.assert_allclose(image.spread, spread)
    assert [m.likelihood for m in data.modalities] == ["normal", "normal"]
    assert [m.likelihood_weight for m in data.modalities] == [4 / 3, 1]
    assert [m.event_shape for m in data.modalities] == [(3,), (4,)]
    assert modality.Modality.from_json(json.loads(json.dumps(vars(caption)))) == caption


def test_a_fraction_is_of_each_class_and_leaves_the_test_part_alone(place):
    whole, half, again = (load(place, data_fraction=f, data_seed=4) for f in (1.0, 0.5, 0.5))
    assert np.bincount(half.train.label).tolist() == [3, 6, 3]  # of 2, 3 and 2 images 1, 2 and 1, three times each
    assert len(half.test) == len(whole.test)
    np.testing.assert_array_equal(half.train.pools["image"], again.train.pools["image"])
    kept = half.train.take(slice(None))
    np.testing.assert_array_equal(kept["image"][:, 0], kept["caption"][:, 0])
    np.testing.assert_allclose(half.modalities[0].location, half.train.pools["image"].mean(axis=0), rtol=1e-6)


def test_values_are_shown_as_the_nearest_training_picture_and_as_sentences(place):
    data = load(place, data_fraction=0.3)
    values = arrays()["image/features"] + np.float32(0.01)
    shown = data.show["image"](values)
    assert shown.shape == (10, 64, 64, 3)
    features, train = arrays()["image/features"], np.flatnonzero(arrays()["image/train"])
    nearest = [min(train, key=lambda row: np.sum((features[row] - value) ** 2)) for value in values]
    assert shown[:, 0, 0, 0].tolist() == nearest
    assert data.show["caption"](np.zeros((2, 4))) == ["chirp", "chirp"]


def test_resnet_features_are_taken_where_there_are_any(place):
    changed = arrays() | {"image/features": arrays()["image/features"] + 1}
    with pytest.raises(UserError, match="No features of CUB were prepared .*mmtf prepare cub"):
        cub.load(config_of(place), str(place.parent / "kept"))
    first = load(place, "classes")
    second = load(place, "resnet101", content=changed)
    chosen = load(place, "classes", image_features="classes")
    np.testing.assert_array_equal(second.train.pools["image"], first.train.pools["image"] + 1)
    np.testing.assert_array_equal(chosen.train.pools["image"], first.train.pools["image"])


def test_sources_name_the_features_and_the_counts(place, caplog):
    caplog.set_level(logging.INFO)
    data = load(place)
    assert data.sources == {
        "image": "original files: 7 training and 3 test images with captions (the whole set has 11,788 images); features of a "
        "small network trained here to tell the classes (a fallback, not what [C] has)",
        "caption": "21 training and 9 test captions; features of a CNN-LSTM autoencoder trained on 1,234 captions",
    }
    assert data.sources["image"] in caplog.text


def test_prepared_files_that_do_not_fit_are_refused(place):
    folder = place.parent / "kept"
    load(place)
    with pytest.raises(UserError, match="No resnet101 features of CUB were prepared"):
        cub.load(config_of(place, image_features="resnet101"), str(folder))
    path = cub.prepared_file(folder, cub.input_key(place), "classes")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="features of CUB in .* are damaged; run 'mmtf prepare cub"):
        cub.load(config_of(place), str(folder))
    path.write_bytes(whole)
    edit(place / "text_c10/004.White_bird/Bird_3.txt", "white", "snowy")
    with pytest.raises(UserError, match="No features of CUB were prepared"):
        cub.load(config_of(place), str(folder))


def test_images_left_out_are_accepted_by_the_flag_only(place):
    content = arrays(damaged=["a/b", "c/d"])
    with pytest.raises(UserError, match="The image a/b and 1 more of CUB cannot be read: .*--skip_damaged"):
        load(place, content=content)
    assert "; 2 damaged images left out;" in load(place, content=content, skip_damaged=True).sources["image"]


# The list names the pairs of 2,889 images.
@needs_real("cub/pairs.txt")
def test_the_real_files():
    place = cub_files.folder(REAL)
    found = list(cub_files.birds(place, DataConfig(dataset="cub", data_dir=REAL)))
    captions = cub_files.read_captions(cub_files.caption_files(place))
    assert [len(found), len({b.class_name for b in found}), sum(b.train for b in found)] == [2889, 50, 1500]
    assert len(captions) == 3208
    assert {len(lines) for lines in captions.values()} == {10}
    pairs = [b for b in found if b.name in captions]
    assert [len(pairs), sum(b.train for b in pairs), len({b.class_name for b in pairs})] == [1258, 660, 22]
    listed = (place / "pairs.txt").read_text().splitlines()[1:]
    assert sorted(b.name for b in pairs) == sorted(line.split()[1].removesuffix(".jpg") for line in listed)
    first = next(b for b in found if b.name.endswith("Black_Footed_Albatross_0046_18"))
    assert (first.train, first.box, first.picture().size) == (False, (45.8, 20.6, 248.3, 232.3), (382, 256))
