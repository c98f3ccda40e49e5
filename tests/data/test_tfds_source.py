"""TFDS as a source: what is prepared is read in its order, nothing is downloaded unasked, and each failure has its sentence."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from absl import logging as absl_logging
from original_files import write_svhn
from tfds_folders import prepare

from mmtf.config import DataConfig
from mmtf.data import tfds_source
from mmtf.errors import UserError

pytestmark = pytest.mark.usefixtures("own_folder")


def digits(count):
    """MNIST examples that tell their number by their pixels."""
    return [{"image": np.full((28, 28, 1), n, np.uint8), "label": n % 10} for n in range(count)]


@pytest.fixture
def named(tmp_path):
    folder = tmp_path / "named"
    folder.mkdir()
    return folder


def test_prepared_examples_come_in_the_order_of_the_files_every_time(named):
    # 50 in files of 20: TFDS by default takes turns, 16 of each file.
    prepare(named, "mnist", {"train": digits(50), "test": digits(3)}, per_file=20)
    config = DataConfig(data_dir=str(named))
    assert tfds_source.prepared("mnist", config)
    for _ in range(2):
        found = list(tfds_source.examples("mnist", "train", config))
        assert [e["image"][5, 6, 0] for e in found] == list(range(50))
        assert [e["label"] for e in found] == [n % 10 for n in range(50)]
    assert found[0]["image"].dtype == np.uint8
    assert found[0]["image"].shape == (28, 28, 1)
    assert len(list(tfds_source.examples("mnist", "test", config))) == 3
    assert len(list(tfds_source.examples("mnist", "train[:40%]", config))) == 20


def test_the_named_folder_goes_before_tfds_own(named, own_folder, monkeypatch):
    prepare(own_folder, "mnist", {"train": digits(2)})
    for config in (DataConfig(), DataConfig(data_dir=str(named))):
        assert tfds_source.prepared("mnist", config)
        assert len(list(tfds_source.examples("mnist", "train", config))) == 2
    prepare(named, "mnist", {"train": digits(5)})
    assert len(list(tfds_source.examples("mnist", "train", DataConfig(data_dir=str(named))))) == 5
    assert len(list(tfds_source.examples("mnist", "train", DataConfig()))) == 2
    monkeypatch.setenv("MMTF_DATA_DIR", str(named))
    assert len(list(tfds_source.examples("mnist", "train", DataConfig()))) == 5


@pytest.mark.parametrize("name", ["mnist", "svhn_cropped", "celeb_a", "caltech_birds2011"])
def test_what_is_not_prepared_is_an_error_with_the_ways_out_and_leaves_nothing(named, own_folder, caplog, name):
    config = DataConfig(data_dir=str(named))
    assert not tfds_source.prepared(name, config)
    with pytest.raises(UserError) as error:
        tfds_source.examples(name, "train", config)
    said = str(error.value)
    version = tfds.builder(name, data_dir=named).version
    assert f"TFDS has not prepared {name} in {named}/{name}/{version} nor in {own_folder}/{name}/{version}." in said
    for way in ("with --data_dir or MMTF_DATA_DIR", "--download", f"'tfds build {name} --data_dir=FOLDER'"):
        assert way in said
    assert not list(named.iterdir())
    assert not own_folder.exists()
    assert not caplog.records  # TFDS by itself warns of each folder that it does not find


def test_without_the_flag_nothing_is_downloaded(monkeypatch):
    def download(*args, **kwargs):
        raise AssertionError("downloaded unasked")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", download)
    with pytest.raises(UserError, match="TFDS has not prepared mnist"):
        tfds_source.examples("mnist", "train", DataConfig())


def test_a_download_goes_to_the_named_folder_and_only_where_nothing_is_prepared(named, own_folder, monkeypatch):
    downloaded = []

    def download(builder):
        downloaded.append(builder.data_dir)
        prepare(Path(builder.data_dir).parents[1], "mnist", {"train": digits(4)})
        builder.info.read_from_directory(builder.data_dir)

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", download)
    config = DataConfig(data_dir=str(named), download=True)
    assert tfds_source.prepared("mnist", config)
    assert not downloaded
    for _ in range(2):
        assert len(list(tfds_source.examples("mnist", "train", config))) == 4
    assert downloaded == [f"{named}/mnist/3.0.1"]
    prepare(own_folder, "svhn_cropped", {"train": [{"image": np.zeros((32, 32, 3), np.uint8), "label": 1, "id": "a"}]})
    assert len(list(tfds_source.examples("svhn_cropped", "train", config))) == 1
    assert len(downloaded) == 1


def test_a_download_that_fails_is_an_error_with_the_other_ways_out(named, monkeypatch):
    def fail(builder):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
    with pytest.raises(UserError) as error:
        tfds_source.examples("celeb_a", "train", DataConfig(data_dir=str(named), download=True))
    assert f"TFDS could not download celeb_a to {named}/celeb_a/" in str(error.value)
    assert "(ConnectionError: no route to host)" in str(error.value)
    assert "--data_dir" in str(error.value)
    assert "--download" not in str(error.value)


def test_with_the_flag_tfds_own_mock_is_read(monkeypatch):
    with tfds.testing.mock_data(num_examples=3, policy=tfds.testing.MockPolicy.USE_CODE):
        found = list(tfds_source.examples("celeb_a", "train", DataConfig(download=True)))
    assert [e["image"].shape for e in found] == [(218, 178, 3)] * 3
    assert len(found[0]["attributes"]) == 40


def test_a_split_that_is_not_there_is_an_error(named):
    prepare(named, "mnist", {"train": digits(2)})
    with pytest.raises(UserError, match=f"TFDS cannot read 'valid' of {named}/mnist/3.0.1: Unknown split"):
        tfds_source.examples("mnist", "valid", DataConfig(data_dir=str(named)))


def test_damaged_records_are_an_error_when_they_are_reached(named):
    folder = prepare(named, "mnist", {"train": digits(50)}, per_file=20)
    second = sorted(folder.glob("*train*"))[1]
    second.write_bytes(second.read_bytes()[:-50])
    found = tfds_source.examples("mnist", "train", DataConfig(data_dir=str(named)))
    with pytest.raises(UserError, match=f"TFDS' files in {folder} are damaged or not complete"):
        list(found)


def test_a_missing_file_of_records_is_an_error(named):
    folder = prepare(named, "mnist", {"train": digits(50)}, per_file=20)
    sorted(folder.glob("*train*"))[1].unlink()
    with pytest.raises(UserError, match=f"TFDS' files in {folder} are damaged or not complete"):
        list(tfds_source.examples("mnist", "train", DataConfig(data_dir=str(named))))


def test_a_damaged_description_is_an_error_unless_it_is_never_needed(named, own_folder):
    folder = prepare(own_folder, "mnist", {"train": digits(2)})
    (folder / "dataset_info.json").write_text("{")
    with pytest.raises(UserError, match="TFDS cannot open mnist in its own folder"):
        tfds_source.prepared("mnist", DataConfig())
    prepare(named, "mnist", {"train": digits(5)})
    assert len(list(tfds_source.examples("mnist", "train", DataConfig(data_dir=str(named))))) == 5


def test_the_level_of_tfds_warnings_is_left_as_it_was(named):
    before = absl_logging.get_verbosity()
    tfds_source.prepared("mnist", DataConfig(data_dir=str(named)))
    assert absl_logging.get_verbosity() == before


def test_original_files_beside_it_do_not_make_a_data_set(named):
    write_svhn(named / "svhn_cropped")
    assert not tfds_source.prepared("svhn_cropped", DataConfig(data_dir=str(named)))


def test_examples_are_read_as_they_are_asked_for(named):
    prepare(named, "mnist", {"train": digits(50)}, per_file=20)
    found = tfds_source.examples("mnist", "train", DataConfig(data_dir=str(named)))
    assert [e["label"] for e in itertools.islice(found, 3)] == [0, 1, 2]
