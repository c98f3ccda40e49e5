"""A folder with a user's own arrays, as `--dataset=arrays` reads it."""

import json

import numpy as np
import pytest
from dataset_contract import DatasetContract
from own_values import LABELS, REAL, N

from mmtf.config import DataConfig
from mmtf.data.arrays import builders
from mmtf.errors import UserError

RNG = np.random.default_rng(1)


@pytest.fixture
def folder(tmp_path):
    np.save(tmp_path / "rna.npy", RNG.poisson(3, (N, 4)).astype(float))
    np.save(tmp_path / "adt.npy", REAL)
    np.save(tmp_path / "labels.npy", LABELS)
    return tmp_path


def load(folder, **options):
    return builders.load(DataConfig(dataset="arrays", data_dir=str(folder), **options))


class TestContract(DatasetContract):
    @pytest.fixture
    def data(self, folder):
        return load(folder)

    @pytest.fixture
    def again(self, folder):
        return load(folder)


def test_a_folder_holds_a_file_per_modality(folder):
    data = load(folder)
    assert data.names == ("adt", "rna")
    assert [m.likelihood for m in data.modalities] == ["normal", "negative_binomial"]
    assert (data.name, len(data.train), len(data.test)) == ("arrays", 32, 8)
    assert "own arrays: 32 training and 8 test examples" in data.sources["rna"]
    assert str(folder) not in " ".join(data.sources.values())


def test_a_folder_may_say_order_likelihoods_names_masks_and_test_examples(folder):
    (folder / "masks").mkdir()
    np.save(folder / "masks" / "rna.npy", LABELS != 1)
    np.save(folder / "test.npy", np.arange(N) < 5)
    np.save(folder / "note.npy", np.array(["ab", "c"] * (N // 2)))
    settings = {
        "order": ["rna", "note", "adt"],
        "likelihoods": {"rna": {"likelihood": "normal", "scale": 0.5}, "adt": "laplace"},
        "class_names": ["b", "t", "nk", "dc"],
    }
    (folder / "arrays.json").write_text(json.dumps(settings))
    data = load(folder)
    assert data.names == ("rna", "note", "adt")
    assert [m.likelihood for m in data.modalities] == ["normal", "categorical", "laplace"]
    assert data.modalities[0].scale == 0.5
    assert data.class_names == ("b", "t", "nk", "dc")
    assert data.test.mask["rna"].tolist() == [True, False, True, True, True]
    np.testing.assert_array_equal(data.test.pools["adt"], REAL[:5].astype(np.float32))


def test_the_folder_is_found_by_the_environment_too(folder, monkeypatch):
    monkeypatch.setenv("MMTF_DATA_DIR", str(folder))
    assert load("").names == ("adt", "rna")
    monkeypatch.delenv("MMTF_DATA_DIR")
    with pytest.raises(UserError, match="--data_dir=FOLDER or MMTF_DATA_DIR"):
        load("")


def test_a_fraction_keeps_its_share_of_each_class_and_all_test_examples(folder):
    whole, half, quarter = (load(folder, data_fraction=f) for f in (1.0, 0.5, 0.25))
    np.testing.assert_array_equal(np.bincount(half.train.label), np.bincount(whole.train.label) // 2)
    np.testing.assert_array_equal(half.test.pools["adt"], whole.test.pools["adt"])
    rows = [{row.tobytes() for row in data.train.pools["adt"]} for data in (quarter, half, whole)]
    assert rows[0] < rows[1] < rows[2]
    np.testing.assert_allclose(half.modalities[0].location, half.train.pools["adt"].mean(axis=0, dtype=float), rtol=1e-6)
    assert "16 training and 8 test examples (the whole set has 32 training examples)" in half.sources["adt"]
    (folder / "labels.npy").unlink()
    assert len(load(folder, data_fraction=0.5).train) == 16


def test_the_data_seed_decides_on_the_split(folder):
    first, other = (load(folder, data_seed=seed).test.pools["adt"] for seed in (1, 2))
    assert not np.array_equal(first, other)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match=f"{tmp_path} holds no NAME.npy"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("adt.npy", b"", "adt.npy cannot be read as a .npy file"),
        ("adt.npy", b"not an array at all", "adt.npy cannot be read as a .npy file"),
        ("adt.npy", b"\x93NUMPY\x01\x00", "adt.npy cannot be read as a .npy file"),
        ("arrays.json", b"{", "arrays.json cannot be read as JSON"),
        ("arrays.json", b"[]", "arrays.json must hold an object"),
        ("arrays.json", b'{"likelihood": {}}', "arrays.json has 'likelihood'; it may have: likelihoods,"),
        ("arrays.json", b'{"order": "adt"}', "order must be a list"),
        ("arrays.json", b'{"paired_by_class": 1}', "paired_by_class must be true or false, not 1"),
        ("arrays.json", b'{"order": ["adt"]}', "order must name each modality once: adt, rna; not"),
        ("arrays.json", b'{"likelihoods": {"adt": "normall"}}', "likelihoods: adt must be one of"),
    ],
)
def test_a_damaged_file_is_named(folder, name, content, message):
    (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        load(folder)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("adt", np.array([{}, None] * (N // 2), object), "adt.npy holds Python objects"),
        ("adt", REAL[:-1], r"rna.npy has 40 examples, but .*adt.npy has 39"),
        ("adt", np.array(3.0), r"adt.npy holds no array"),
        ("labels", LABELS[:-1], r"labels.npy has 39 examples, but .*adt.npy has 40"),
        ("labels", np.zeros(N), "labels: all examples are of class"),
        ("test", np.ones(N, bool), "test leaves 0 of 40"),
        ("masks/rna", np.ones(3, bool), r"rna.npy has 3 examples, but .*adt.npy has 40"),
        ("masks/rnaa", np.ones(N, bool), r"rnaa.npy is the mask of no modality; there are: adt, rna"),
        ("my-data", REAL, r"the files' names are the modalities'.*not 'my-data'"),
    ],
)
def test_an_array_that_does_not_fit_is_named(folder, name, array, message):
    (folder / "masks").mkdir()
    np.save(folder / f"{name}.npy", array)
    with pytest.raises(UserError, match=message) as error:
        load(folder)
    assert str(folder) in str(error.value)
