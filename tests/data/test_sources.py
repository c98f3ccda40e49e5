"""MNIST and SVHN from files and from TFDS: the same images with the same labels, and a record of what was there."""

import logging
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from original_files import REAL, needs_real, small_mnist, small_svhn, write_mnist, write_svhn
from tfds_folders import prepare

from mmtf.config import DataConfig
from mmtf.data import sources
from mmtf.errors import UserError

pytestmark = pytest.mark.usefixtures("own_folder")

LOADERS = {"MNIST": sources.mnist, "SVHN": sources.svhn}
SMALL = {
    "MNIST": [small_mnist("train"), small_mnist("t10k")],
    "SVHN": [small_svhn("train"), small_svhn("test")],
}


def prepare_both(data_dir, originals):
    """What TFDS' own generators make of the original files."""
    mnist, svhn = (tfds.builder(name, data_dir=data_dir) for name in ("mnist", "svhn_cropped"))
    parts = {}
    for part, prefix, count in (("train", "train", 60), ("test", "t10k", 30)):
        paths = (f"{originals}/{prefix}-{kind}-ubyte" for kind in ("images-idx3", "labels-idx1"))
        parts[part] = mnist._generate_examples(count, *paths)
    prepare(data_dir, "mnist", {part: [example for _, example in found] for part, found in parts.items()})
    parts = {part: svhn._generate_examples(f"{part}_", f"{originals}/{part}_32x32.mat") for part in ("train", "test")}
    prepare(data_dir, "svhn_cropped", {part: [example for _, example in found] for part, found in parts.items()})


def check(name, source):
    for part, (images, label) in zip((source.train, source.test), SMALL[name], strict=True):
        assert part.images.dtype == np.uint8
        assert part.images.flags.c_contiguous
        assert part.label.dtype == np.int64
        np.testing.assert_array_equal(part.images, images)
        np.testing.assert_array_equal(part.label, label)


@pytest.mark.parametrize(("mnist", "svhn"), [("", ""), ("mnist", "svhn"), ("MNIST/raw", "SVHN")])
def test_files_are_read_from_the_folder_or_its_usual_subfolders(tmp_path, mnist, svhn):
    write_mnist(tmp_path / mnist, compress=mnist == "mnist")
    write_svhn(tmp_path / svhn)
    for name, load in LOADERS.items():
        check(name, load(DataConfig(data_dir=str(tmp_path))))


def test_tfds_gives_the_same_images_and_labels_digit_0_as_0(tmp_path):
    write_mnist(tmp_path / "originals")
    write_svhn(tmp_path / "originals")
    prepare_both(tmp_path / "prepared", tmp_path / "originals")
    for name, load in LOADERS.items():
        source = load(DataConfig(data_dir=str(tmp_path / "prepared")))
        check(name, source)
        assert set(source.train.label.tolist()) == set(range(10))


def test_files_go_before_tfds(tmp_path):
    write_mnist(tmp_path)
    prepare(tmp_path, "mnist", {part: [{"image": np.zeros((28, 28, 1), np.uint8), "label": 0}] for part in ("train", "test")})
    check("MNIST", sources.mnist(DataConfig(data_dir=str(tmp_path), download=True)))


def test_the_origin_says_what_was_there_without_a_path(tmp_path, caplog):
    write_mnist(tmp_path)
    write_svhn(tmp_path)
    with caplog.at_level(logging.INFO):
        origins = [load(DataConfig(data_dir=str(tmp_path))).origin for load in LOADERS.values()]
    assert origins == [
        "original files: 60 training and 30 test examples (the whole set has 60,000 and 10,000)",
        "original files: 90 training and 40 test examples (the whole set has 73,257 and 26,032)",
    ]
    for origin in origins:
        assert f"{origin}, from {tmp_path}" in caplog.text


def test_the_whole_set_is_recorded_as_such(monkeypatch):
    part = sources.Labelled(np.zeros(0), np.zeros(3))
    monkeypatch.setitem(sources.OFFICIAL, "MNIST", (3, 3))
    assert sources._announced("MNIST", [part, part], "TFDS mnist", "TFDS").origin == (
        "TFDS mnist: 3 training and 3 test examples"
    )


def test_a_mocked_tfds_is_read_example_by_example():
    with tfds.testing.mock_data(num_examples=7, policy=tfds.testing.MockPolicy.USE_CODE):
        source = sources.svhn(DataConfig(download=True))
        first = next(iter(tfds.load("svhn_cropped", split="train").as_numpy_iterator()))
    assert source.origin.startswith("TFDS svhn_cropped: 7 training and 7 test examples")
    np.testing.assert_array_equal(source.train.images[0], first["image"])
    assert source.train.label[0] == first["label"]


@pytest.mark.parametrize(
    ("name", "wanted", "subfolders"),
    [
        ("MNIST", "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte (or .gz)",
         "mnist or MNIST/raw"),
        ("SVHN", "train_32x32.mat, test_32x32.mat", "svhn or SVHN"),
    ],
)  # fmt: skip
def test_an_empty_folder_is_an_error_that_says_what_was_looked_for_and_where(tmp_path, name, wanted, subfolders):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError) as error:
        LOADERS[name](DataConfig(data_dir=str(tmp_path / "empty")))
    said = str(error.value)
    assert said.startswith(f"{name} was not found. {tmp_path}/empty has no {wanted}, nor has its {subfolders}. TFDS has not")
    assert "--download" in said
    assert not list((tmp_path / "empty").iterdir())


def test_no_folder_at_all_is_an_error_that_names_the_flag_and_the_variable():
    with pytest.raises(UserError, match="No folder with original files .* was named by --data_dir or MMTF_DATA_DIR. TFDS has"):
        sources.mnist(DataConfig())


def test_some_of_the_files_are_an_error_even_where_tfds_has_all(tmp_path, own_folder):
    write_mnist(tmp_path / "originals")
    write_svhn(tmp_path / "originals")
    prepare_both(own_folder, tmp_path / "originals")
    (tmp_path / "originals/t10k-labels-idx1-ubyte").unlink()
    (tmp_path / "originals/train_32x32.mat").unlink()
    with pytest.raises(UserError, match="but not t10k-labels-idx1-ubyte. Add what is missing"):
        sources.mnist(DataConfig(data_dir=str(tmp_path / "originals")))
    with pytest.raises(UserError, match="but not train_32x32.mat. Add what is missing"):
        sources.svhn(DataConfig(data_dir=str(tmp_path / "originals")))


def test_an_empty_part_in_tfds_is_an_error(tmp_path):
    one = [{"image": np.zeros((28, 28, 1), np.uint8), "label": 0}]
    prepare(tmp_path, "mnist", {"train": one, "test": []})
    with pytest.raises(UserError, match=f"TFDS cannot read 'test' of {tmp_path}/mnist/3.0.1"):
        sources.mnist(DataConfig(data_dir=str(tmp_path)))


@needs_real()
def test_the_real_files_are_found_and_recorded():
    mnist, svhn = (load(DataConfig(data_dir=REAL)) for load in (sources.mnist, sources.svhn))
    assert mnist.origin == "original files: 60,000 training and 10,000 test examples"
    whole = (len(svhn.train.label), len(svhn.test.label)) == sources.OFFICIAL["SVHN"]
    assert svhn.origin.endswith("(the whole set has 73,257 and 26,032)") == (not whole)
    assert not any(part in svhn.origin for part in Path(REAL).parts[1:])
