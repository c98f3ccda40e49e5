"""Preparing CUB end to end, on a miniature with drawn birds and captions from a grammar."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import cub_networks
import keras
import numpy as np
import pytest
from checkout import call, environment
from PIL import Image
from small_cub import miniature

from mmtf.config import DataConfig
from mmtf.data import cub
from mmtf.data.preparation import images, prepare
from mmtf.errors import UserError

QUICK = {"image_features": "classes", "class_epochs": 1, "caption_epochs": 2, "caption_min_count": 1}


@pytest.fixture
def data_dir(tmp_path, monkeypatch):
    monkeypatch.delenv("MMTF_DATA_DIR", raising=False)
    return miniature(tmp_path / "data")


@pytest.fixture
def made(monkeypatch):
    """Nothing is trained; the autoencoders that were made."""
    return cub_networks.stand_in(monkeypatch)


@pytest.fixture
def resnet(tmp_path, monkeypatch, made):
    """Settings under which a small network, the same for every file of weights, stands for ResNet-101; and the network."""
    network = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2048, use_bias=False)]
    )
    monkeypatch.setattr(images, "resnet101", lambda file: network)
    weights = tmp_path / "resnet.weights.h5"
    weights.write_bytes(b"one")
    return {"image_features": "resnet101", "class_epochs": 60, "weights": str(weights)}, network


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """A miniature prepared once, by trained networks of few units: its configuration, file and record."""
    folder = tmp_path_factory.mktemp("quick")
    config = prepare.PrepareConfig(
        data_dir=str(miniature(folder / "data")), features_dir=str(folder / "kept"), **QUICK | {"caption_epochs": 30}
    )
    with pytest.MonkeyPatch.context() as patched:
        cub_networks.shrink(patched)
        return config, *prepare.prepare(config)


def config_of(data_dir, **changes):
    return prepare.PrepareConfig(data_dir=str(data_dir), **QUICK | {"features_dir": str(data_dir / "kept")} | changes)


def test_what_was_prepared_is_what_load_finds(quick):
    config, path, record = quick
    data = cub.load(DataConfig(dataset="cub", data_dir=config.data_dir), config.features_dir)
    assert [p.name for p in Path(config.features_dir).iterdir()] == [path.name]
    # Of 20 images the first one, for training, has no captions.
    assert [len(data.train), len(data.test)] == [110, 80]
    assert {name: pool.shape for name, pool in data.train.pools.items()} == {"image": (11, 2048), "caption": (110, 1024)}
    assert data.class_names == ("Red bird", "Blue bird", "Green bird", "White bird")
    assert record["captions"]["trained_on"] == 110 + 20  # and of the two birds without an image
    assert record["class_images"] == 12
    assert data.sources == {
        "image": "original files: 11 training and 8 test images with captions (the whole set has 11,788 images); features of a "
        "small network trained here to tell the classes (a fallback, not what [C] has)",
        "caption": "110 training and 80 test captions; features of a CNN-LSTM autoencoder trained on 130 captions",
    }


def test_features_become_pictures_and_sentences_again(quick):
    config, _, record = quick
    data = cub.load(DataConfig(dataset="cub", data_dir=config.data_dir), config.features_dir)
    pictures = data.show["image"](data.train.pools["image"])
    # Of a training image, the nearest is itself: the disc's colour is that of its class.
    middle = pictures[:, 32, 32].astype(int)
    name_of = {(1, 0, 0): "Red bird", (0, 0, 1): "Blue bird", (0, 1, 0): "Green bird", (1, 1, 1): "White bird"}
    shown = [name_of[tuple((pixel > 110).astype(int))] for pixel in middle]
    first = data.train.first(11)
    assert shown == [data.class_names[label] for label in first.label]
    sentences = data.show["caption"](data.test.pools["caption"])
    assert all(sentence.startswith("this") for sentence in sentences)
    assert record["captions"]["token_accuracy"] > 0.6


def test_a_second_time_reads(quick):
    config, path, record = quick
    before = path.stat().st_mtime_ns
    assert prepare.prepare(config) == (path, record)
    assert path.stat().st_mtime_ns == before


def same_again(config, path, place):
    """Prepares another copy of the files, and compares."""
    again = {"data_dir": str(miniature(place / "data")), "features_dir": str(place / "kept")}
    same, _ = prepare.prepare(dataclasses.replace(config, **again))
    assert same.name == path.name
    with np.load(path) as a, np.load(same) as b:
        assert a.files == b.files
        for name in a.files:
            np.testing.assert_array_equal(a[name], b[name], err_msg=name)


@pytest.mark.slow
def test_the_same_again_gives_the_same(quick, tmp_path, monkeypatch):
    config, path, _ = quick
    cub_networks.shrink(monkeypatch)
    same_again(config, path, tmp_path)


def test_the_seed_is_that_of_everything_that_is_drawn(data_dir, made, monkeypatch, tmp_path):
    """Without a training; tests/data/preparation has that the same seeds give the same networks."""
    networks = []

    def kept(*sizes, **how):
        networks.append((cub_networks.class_network(*sizes, **how), how))
        return networks[-1][0]

    monkeypatch.setattr(images, "class_network", kept)
    config = config_of(data_dir, seed=7)
    path, _ = prepare.prepare(config)
    assert [(each.seed, each.trained) for each in made] == [(7, (130, 2, 7))]
    assert [(network.how, how) for network, how in networks] == [({"seed": 7}, {"seed": 7})]
    same_again(config, path, tmp_path / "again")


def test_other_settings_are_refused_until_the_file_is_removed(quick):
    config, path, _ = quick
    other = dataclasses.replace(config, caption_epochs=3)
    with pytest.raises(UserError, match=f"{path.name} was prepared otherwise: caption_epochs 30 instead of 3"):
        prepare.prepare(other)


def test_resnet_sees_the_images_with_captions_as_it_was_trained_to(data_dir, resnet):
    settings, network = resnet
    prepare.prepare(config_of(data_dir, **settings))
    loaded = cub.load(DataConfig(dataset="cub", data_dir=str(data_dir)), str(data_dir / "kept"))
    assert loaded.sources["image"].endswith("features of ResNet-101")
    assert len(loaded.train.pools["image"]) == 11
    # Its inputs: BGR, less ImageNet's mean, of seven eighths of the image.
    picture = Image.open(data_dir / "cub/CUB_200_2011/images/001.Red_bird/Bird_1.jpg")
    seen = images.resnet_input(picture)[..., ::-1] - np.array([103.939, 116.779, 123.68])
    expected = seen.mean(axis=(0, 1)) @ network.layers[-1].kernel.numpy()
    np.testing.assert_allclose(loaded.train.pools["image"][0], expected, atol=0.02)
    assert np.abs(expected).max() > 2
    Path(settings["weights"]).write_bytes(b"two")
    with pytest.raises(UserError, match="was prepared otherwise: weights"):
        prepare.prepare(config_of(data_dir, **settings))


def test_a_damaged_image_stops_or_is_left_out_and_counted(data_dir, resnet):
    settings, _ = resnet
    damaged = data_dir / "cub/CUB_200_2011/images/002.Blue_bird/Bird_1.jpg"
    damaged.write_bytes(damaged.read_bytes()[:400])
    with pytest.raises(UserError, match="The image 002.Blue_bird/Bird_1 of CUB cannot be read"):
        prepare.prepare(config_of(data_dir, **settings))
    assert list((data_dir / "kept").iterdir()) == []
    _, record = prepare.prepare(config_of(data_dir, **settings, skip_damaged=True))
    assert record["damaged"] == ["002.Blue_bird/Bird_1"]
    features_dir = str(data_dir / "kept")
    for refused in (
        lambda: prepare.prepare(config_of(data_dir, **settings)),
        lambda: cub.load(DataConfig(dataset="cub", data_dir=str(data_dir)), features_dir),
    ):
        with pytest.raises(UserError, match="002.Blue_bird/Bird_1 of CUB cannot be read.*--skip_damaged"):
            refused()
    data = cub.load(DataConfig(dataset="cub", data_dir=str(data_dir), skip_damaged=True), features_dir)
    assert len(data.train) == 100
    assert "1 damaged images left out" in data.sources["image"]


def test_captions_of_the_test_part_are_never_learned(data_dir, resnet):
    """Neither of test images that are there nor of those that are not."""
    (data_dir / "cub/CUB_200_2011/images/003.Green_bird/Bird_4.jpg").unlink()
    for part, numbers in (("test", (3, 4)), ("training", (0,))):
        for number in numbers:
            file = data_dir / f"cub/text_c10/003.Green_bird/Bird_{number}.txt"
            file.write_text(file.read_text().replace("bird", f"{part}only"))
    path, record = prepare.prepare(config_of(data_dir, **resnet[0]))
    with np.load(path) as found:
        assert "trainingonly" in found["vocabulary"]
        assert "testonly" not in found["vocabulary"]
        assert "003.Green_bird/Bird_4" not in found["image/name"]
    assert record["captions"]["trained_on"] == 130


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_features": "resnet101", "class_epochs": 60, "weights": "none.h5"}, "--weights=none.h5 is no file"),
        ({"weights": "some.h5"}, "--weights does nothing for --image_features=classes"),
        ({"image_features": "resnet101", "class_epochs": 3}, "--class_epochs does nothing for --image_features=resnet101"),
        ({"caption_epochs": 0}, "--caption_epochs must be at least 1"),
        ({"caption_min_count": 10**6}, "No word occurs 1000000 times in training captions; lower --caption_min_count"),
        ({"features_dir": "{}/cub/CUB_200_2011/classes.txt"}, "Cannot write to .*classes.txt"),
    ],
)
def test_mistakes_leave_nothing_behind(data_dir, made, change, message):
    change = {name: value.format(data_dir) if isinstance(value, str) else value for name, value in change.items()}
    with pytest.raises(UserError, match=message):
        prepare.prepare(config_of(data_dir, **change))
    assert not made
    assert not list(data_dir.glob("kept/*"))
    assert change.get("image_features") != "resnet101" or not (data_dir / "kept").exists()


def test_both_parts_need_images_with_captions(data_dir, made):
    split = data_dir / "cub/CUB_200_2011/train_test_split.txt"
    split.write_text("".join(f"{i} 1\n" for i in range(1, 21)))
    with pytest.raises(UserError, match="None of the images of CUB that have captions is in the test part"):
        prepare.prepare(config_of(data_dir))
    assert not made


def test_the_summary_says_how_good_the_features_are(quick):
    *_, record = quick
    said = prepare.summary(record)
    assert f"{record['class_accuracy']:.1%} of the test images" in said
    assert said.count("caption: ") == said.count("rebuilt: ") == len(record["captions"]["examples"])
    assert json.loads(json.dumps(record)) == record


def test_the_script_prepares_and_says_what_comes_next(data_dir, made):
    flags = [f"--{name}={value}" for name, value in QUICK.items()]
    done = call("scripts/prepare_data.py", "cub", f"--data_dir={data_dir}", f"--features_dir={data_dir / 'kept'}", *flags)
    assert done.returncode == 0, done.stderr
    (file,) = (data_dir / "kept").glob("*.npz")
    assert f"Prepared features: {file}" in done.stdout
    assert f"--data_dir={data_dir} --features_dir={data_dir / 'kept'} --run_dir=runs/cub" in done.stdout
    assert made[0].trained == (130, 2, 0)


@pytest.mark.parametrize("names", [("cubs",), ()])
def test_the_script_wants_the_name_of_a_data_set(names):
    done = call("scripts/prepare_data.py", *names, "--data_dir=x", MMTF_DATA_DIR="")
    assert done.returncode == 2
    assert "error: Name one data set to prepare, of cub" in done.stderr
    assert "Traceback" not in done.stderr


def test_flags_are_read_without_tensorflow():
    done = subprocess.run(
        [sys.executable, "-c", "import sys, mmtf.data.preparation.prepare; sys.exit('tensorflow' in sys.modules)"],
        env=environment(),
        check=False,
    )
    assert done.returncode == 0
