"""MultiMNIST: which way each modality is turned, and who is paired with whom."""

import dataclasses

import numpy as np
import pytest
from dataset_contract import DatasetContract
from original_files import REAL, needs_real, small_mnist, write_mnist

from mmtf import text
from mmtf.config import DataConfig
from mmtf.data import multimnist
from mmtf.errors import UserError

NAMES = ("mnist_0", "mnist_90", "mnist_180", "mnist_270")


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    write_mnist(folder)
    return DataConfig(dataset="multimnist", data_dir=str(folder), num_modalities=4, pairings=5)


@pytest.fixture(scope="module")
def data(config):
    return multimnist.load(config)


class TestContract(DatasetContract):
    @pytest.fixture
    def again(self, config):
        return multimnist.load(config)


def test_the_top_right_corner_turns_counterclockwise():
    image = np.zeros((1, 28, 28, 1), np.uint8)
    image[0, 0, 27] = 255
    image[0, 1, 27] = 100  # below the corner
    turned = [multimnist.rotated(image, degrees)[0, ..., 0] for degrees in multimnist.ROTATIONS]
    corners = [(0, 27), (0, 0), (27, 0), (27, 27)]
    below_the_corner = [(1, 27), (0, 1), (26, 0), (27, 26)]
    for picture, corner, neighbour in zip(turned, corners, below_the_corner, strict=True):
        assert picture[corner] == 255
        assert picture[neighbour] == 100
        assert np.count_nonzero(picture) == 2


@pytest.mark.parametrize(("part", "file"), [("train", "train"), ("test", "t10k")])
def test_every_pool_holds_the_files_images_turned(data, part, file):
    images = small_mnist(file)[0]
    split = getattr(data, part)
    assert tuple(split.pools) == NAMES
    for turns, pool in enumerate(split.pools.values()):
        assert pool.dtype == np.uint8
        assert pool.flags.c_contiguous
        # Turned back clockwise, a quarter at a time: rows from below become columns from the left.
        for _ in range(turns):
            pool = pool[:, ::-1].transpose(0, 2, 1, 3)
        np.testing.assert_array_equal(pool, images)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_modalities(config, count):
    data = multimnist.load(dataclasses.replace(config, num_modalities=count))
    assert data.names == NAMES[:count]
    assert {(m.event_shape, m.likelihood, m.likelihood_weight) for m in data.modalities} == {((28, 28, 1), "laplace", 1.0)}
    assert set(data.train.rows) == set(data.train.pools) == set(data.names)
    assert data.class_names == text.DIGIT_WORDS
    assert list(data.sources) == ["mnist"]


def test_pairings_are_those_of_the_paper_and_one_for_testing(config):
    data = multimnist.load(dataclasses.replace(config, pairings=None))
    assert len(data.train) == 30 * 60
    assert len(data.test) == 30


@pytest.mark.parametrize(("part", "file"), [("train", "train"), ("test", "t10k")])
def test_pairs_are_of_one_class_and_use_every_image_equally_often(data, part, file):
    label = small_mnist(file)[1]
    split = getattr(data, part)
    for name in NAMES:
        np.testing.assert_array_equal(label[split.rows[name]], split.label)
        assert set(np.bincount(split.rows[name])) == {len(split) // len(label)}


def test_each_modality_has_partners_of_its_own(data):
    rows = [data.train.rows[name] for name in NAMES]
    for i in range(4):
        for j in range(i):
            # 6 images a class: by chance one partner in 6 is the same image.
            assert (rows[i] == rows[j]).mean() < 0.4


def test_the_seed_decides(config):
    one, other = (multimnist.load(dataclasses.replace(config, data_seed=seed)) for seed in (1, 2))
    for name in NAMES[1:]:
        assert (one.train.rows[name] != other.train.rows[name]).any()
        assert (one.test.rows[name] != other.test.rows[name]).any()


def test_a_fraction_is_exact_per_class_in_every_modality_and_nested(config):
    label = small_mnist("train")[1]

    def kept(fraction, seed):
        data = multimnist.load(dataclasses.replace(config, data_fraction=fraction, data_seed=seed))
        return {name: set(rows.tolist()) for name, rows in data.train.rows.items()}

    for seed in (0, 1):
        third, half = kept(1 / 3, seed), kept(0.5, seed)
        for name in NAMES:
            assert np.bincount(label[list(third[name])]).tolist() == [2] * 10
            assert np.bincount(label[list(half[name])]).tolist() == [3] * 10
            assert third[name] < half[name]
    assert kept(0.5, 0) != kept(0.5, 1)


def test_unpaired_pools_add_every_image_of_every_modality_by_itself(config, data):
    more = multimnist.load(dataclasses.replace(config, unpaired_pools=True))
    label = small_mnist("train")[1]
    assert len(more.train) == len(data.train) + 4 * 60
    mask = np.stack([more.train.mask[name] for name in NAMES], axis=1)
    assert mask[: len(data.train)].all()
    np.testing.assert_array_equal(mask[len(data.train) :], np.repeat(np.eye(4, dtype=bool), 60, axis=0))
    for place, name in enumerate(NAMES):
        single = slice(len(data.train) + 60 * place, len(data.train) + 60 * (place + 1))
        np.testing.assert_array_equal(more.train.rows[name][single], np.arange(60))
        np.testing.assert_array_equal(more.train.label[single], label)


def test_an_empty_folder_is_an_error(own_folder, tmp_path):
    with pytest.raises(UserError, match=f"MNIST was not found. {tmp_path} has no train-images-idx3-ubyte"):
        multimnist.load(DataConfig(dataset="multimnist", data_dir=str(tmp_path)))


@needs_real()
def test_the_real_seven_falls_over_to_the_left():
    """The first seven of the test part: its bar is at the top, and counterclockwise at the left, the bottom, the right."""
    data = multimnist.load(DataConfig(dataset="multimnist", data_dir=REAL, num_modalities=4, pairings=1))
    assert data.test.label[0] == 7
    assert [len(data.train), len(data.test)] == [60_000, 10_000]
    values = data.test.take(np.arange(1))
    first = {name: data.test.pools[name][0, ..., 0].astype(float) for name in NAMES}
    np.testing.assert_array_equal(values["mnist_0"][0, ..., 0], first["mnist_0"])
    # Where the longest line of ink across each picture lies, as rows from the top and columns from the left.
    assert np.argmax(first["mnist_0"].sum(axis=1)) < 14
    assert np.argmax(first["mnist_90"].sum(axis=0)) < 14
    assert np.argmax(first["mnist_180"].sum(axis=1)) > 13
    assert np.argmax(first["mnist_270"].sum(axis=0)) > 13
