"""MNIST-SVHN with and without text: who is paired with whom, and which part of the data a fraction keeps."""

import dataclasses

import numpy as np
import pytest
from dataset_contract import DatasetContract
from original_files import REAL, needs_real, small_mnist, small_svhn, write_mat, write_mnist, write_svhn

from mmtf import text
from mmtf.config import DataConfig
from mmtf.data import mnist_svhn
from mmtf.errors import UserError

LOADERS = {"mnist_svhn_text": mnist_svhn.load_with_text, "mnist_svhn": mnist_svhn.load}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    write_mnist(folder)
    write_svhn(folder)
    return str(folder)


@pytest.fixture(scope="module", params=list(LOADERS))
def data(request, folder):
    return LOADERS[request.param](DataConfig(dataset=request.param, data_dir=folder, pairings=4))


class TestContract(DatasetContract):
    @pytest.fixture
    def again(self, data, folder):
        return LOADERS[data.name](DataConfig(dataset=data.name, data_dir=folder, pairings=4))


def classes(data, part):
    """Per modality, the class of each value of its pool, from the files and the words themselves."""
    names = {"train": ("train", "train"), "test": ("t10k", "test")}[part]
    words = np.array([text.DIGIT_WORDS.index(s.strip()) for s in text.decode(text.digit_word_pool()[0])])
    return {"mnist": small_mnist(names[0])[1], "svhn": small_svhn(names[1])[1], "text": words}


def test_modalities_are_those_of_the_paper(folder):
    with_text, without = (load(DataConfig(data_dir=folder)) for load in LOADERS.values())
    assert with_text.names == ("mnist", "svhn", "text")
    assert without.names == ("mnist", "svhn")
    assert [m.likelihood for m in with_text.modalities] == ["laplace", "laplace", "categorical"]
    assert [m.likelihood_weight for m in with_text.modalities] == [3072 / 784, 1, 3072 / 8]
    assert [m.likelihood_weight for m in without.modalities] == [3072 / 784, 1]
    assert [m.parameter_shape for m in with_text.modalities] == [(28, 28, 1), (32, 32, 3), (8, 71)]
    # [S] pairs 20 times, [C] 30 times.
    assert [len(with_text.train), len(without.train)] == [60 * 20, 60 * 30]
    assert len(with_text.test) == 30 * 5


@pytest.mark.parametrize("part", ["train", "test"])
def test_all_modalities_of_an_example_are_of_its_class(data, part):
    split = getattr(data, part)
    for name in data.names:
        np.testing.assert_array_equal(classes(data, part)[name][split.rows[name]], split.label)


def test_values_are_those_of_the_files_and_of_the_words(data):
    taken = data.train.take(np.array([7, 100]))
    images = {"mnist": small_mnist("train")[0], "svhn": small_svhn("train")[0]}
    for name, pool in images.items():
        np.testing.assert_array_equal(taken[name], pool[data.train.rows[name][[7, 100]]])
    if "text" in data.names:
        said = [s.strip() for s in text.decode(taken["text"])]
        assert said == [data.class_names[c] for c in data.train.label[[7, 100]]]
    assert {pool.dtype for pool in data.train.pools.values()} == {np.dtype(np.uint8)}


@pytest.mark.parametrize("part", ["train", "test"])
def test_every_image_of_both_sets_is_used_and_evenly_within_its_class(data, part):
    split = getattr(data, part)
    for name in data.names:
        uses = np.bincount(split.rows[name], minlength=len(split.pools[name]))
        for c in range(10):
            of_class = uses[classes(data, part)[name] == c]
            assert of_class.min() >= 1
            assert of_class.max() - of_class.min() <= 1


def test_the_sources_are_recorded_per_set(data):
    assert data.sources == {
        "mnist": "original files: 60 training and 30 test examples (the whole set has 60,000 and 10,000)",
        "svhn": "original files: 90 training and 40 test examples (the whole set has 73,257 and 26,032)",
    }


@pytest.mark.parametrize("load", LOADERS.values(), ids=LOADERS)
def test_the_seed_decides_on_pairs_and_on_nothing_else(folder, load):
    one, other = (load(DataConfig(data_dir=folder, pairings=4, data_seed=seed)) for seed in (3, 4))
    for part in ("train", "test"):
        a, b = (getattr(data, part) for data in (one, other))
        for name in a.rows:
            np.testing.assert_array_equal(a.pools[name], b.pools[name])
        np.testing.assert_array_equal(a.rows["mnist"], b.rows["mnist"])
        assert (a.rows["svhn"] != b.rows["svhn"]).any()


def used(data, name):
    return set(data.train.rows[name].tolist())


def test_a_fraction_keeps_its_share_of_each_class_of_images_and_every_word(folder):
    config = DataConfig(data_dir=folder, pairings=20, data_fraction=0.5)
    half, whole = (mnist_svhn.load_with_text(c) for c in (config, dataclasses.replace(config, data_fraction=1.0)))
    # Of 6 and of 9 in each class; Python rounds 4.5 to 4.
    for name, kept in (("mnist", 3), ("svhn", 4)):
        rows = np.array(sorted(used(half, name)))
        assert np.bincount(classes(half, "train")[name][rows]).tolist() == [kept] * 10
    assert used(half, "text") == set(range(50))
    assert len(half.train) == 30 * 20
    for name in ("mnist", "svhn"):
        np.testing.assert_array_equal(half.train.pools[name], whole.train.pools[name])
        np.testing.assert_array_equal(half.test.rows[name], whole.test.rows[name])


def test_a_smaller_fraction_is_a_part_of_a_larger_one_for_the_same_seed(folder):
    def kept(fraction, seed):
        data = mnist_svhn.load(DataConfig(data_dir=folder, pairings=9, data_fraction=fraction, data_seed=seed))
        return {name: used(data, name) for name in data.names}

    for seed in (0, 1):
        small, large = kept(0.34, seed), kept(0.67, seed)
        assert all(small[name] < large[name] for name in small)
    assert kept(0.34, 0)["mnist"] != kept(0.34, 1)["mnist"]


def test_unpaired_pools_add_every_image_and_word_once_by_itself(folder):
    config = DataConfig(data_dir=folder, pairings=2, data_fraction=0.5, unpaired_pools=True)
    data = mnist_svhn.load_with_text(config)
    paired = mnist_svhn.load_with_text(dataclasses.replace(config, unpaired_pools=False))
    count = len(paired.train)
    assert len(data.train) == count + 60 + 90 + 50
    for name in data.names:
        np.testing.assert_array_equal(data.train.rows[name][:count], paired.train.rows[name])
        assert data.train.mask[name][:count].all()
    start = count
    for name, size in (("mnist", 60), ("svhn", 90), ("text", 50)):
        single = slice(start, start + size)
        np.testing.assert_array_equal(data.train.rows[name][single], np.arange(size))
        np.testing.assert_array_equal(data.train.label[single], classes(data, "train")[name])
        assert {other: set(mask[single].tolist()) for other, mask in data.train.mask.items()} == {
            other: {other == name} for other in data.names
        }
        start += size
    assert data.test.mask is None


@pytest.mark.parametrize(("file", "part"), [("train_32x32.mat", "training"), ("test_32x32.mat", "test")])
def test_a_class_that_one_set_lacks_is_an_error_that_names_both_and_the_part(tmp_path, file, part):
    write_mnist(tmp_path)
    write_svhn(tmp_path)
    images, label = small_svhn(file.split("_")[0])
    kept = label != 7
    write_mat(tmp_path / file, X=images[kept].transpose(1, 2, 3, 0), y=np.where(label, label, 10)[kept][:, None])
    for load in LOADERS.values():
        with pytest.raises(UserError, match=f"The {part} part: svhn has no example of class 7, which another modality has"):
            load(DataConfig(data_dir=str(tmp_path)))


@needs_real()
def test_the_real_sets_are_paired_by_class_and_used_to_the_last_image():
    data = mnist_svhn.load_with_text(DataConfig(data_dir=REAL, data_seed=2))
    assert len(data.train) == 20 * 60_000
    assert len(data.test) == 5 * 10_000
    for split in (data.train, data.test):
        words = np.array([text.DIGIT_WORDS.index(s.strip()) for s in text.decode(split.pools["text"])])
        np.testing.assert_array_equal(words[split.rows["text"]], split.label)
        for name in ("mnist", "svhn"):
            # Each image always with the same label, and every image used.
            of_image = np.full(len(split.pools[name]), -1)
            of_image[split.rows[name]] = split.label
            np.testing.assert_array_equal(of_image[split.rows[name]], split.label)
            assert of_image.min() == 0
    assert data.train.label[:5].tolist() == [5, 0, 4, 1, 9]
