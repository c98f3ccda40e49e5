"""Readers of the original files: what the bytes mean, and which sentence each kind of damage gets."""

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from original_files import REAL, idx, needs_real, write_mat

from mmtf.data import files
from mmtf.errors import UserError


def test_an_idx_file_is_read_by_its_header_gzip_or_not(tmp_path):
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    (tmp_path / "plain").write_bytes(b"\0\0\x08\x03" + bytes([0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4]) + bytes(range(24)))
    (tmp_path / "packed").write_bytes(gzip.compress((tmp_path / "plain").read_bytes()))
    for name in ("plain", "packed"):
        read = files.read_idx(tmp_path / name)
        assert read.dtype == np.uint8
        np.testing.assert_array_equal(read, array)


WHOLE = idx(np.ones((5, 28, 28)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (WHOLE[:-1], "should hold 3920 bytes (5, 28, 28) by its header, but 3919 follow"),
        (WHOLE + b"\0", "should hold 3920 bytes (5, 28, 28) by its header, but 3921 follow"),
        (WHOLE[:10], "ends inside its header, after 10 bytes"),
        (b"", "is no IDX file of unsigned bytes"),
        (b"\x89PNG\r\n\x1a\n", "and a number of dimensions, not with 89 50 4e 47"),
        (WHOLE[:2] + b"\x0d" + WHOLE[3:], "is no IDX file of unsigned bytes"),  # 0x0d: floats
        (gzip.compress(WHOLE, mtime=0)[:-9], "cannot be read"),
        (gzip.compress(WHOLE, mtime=0)[:12] + b"\xff" * 8 + gzip.compress(WHOLE, mtime=0)[20:], "cannot be read"),
        (gzip.compress(WHOLE[:-1], mtime=0), "but 3919 follow"),
    ],
)
def test_a_damaged_idx_file_is_named(tmp_path, content, message):
    path = tmp_path / "images"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        files.read_idx(path)
    assert str(path) in str(error.value)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((3, 28, 28)), np.zeros(4), "labels holds (4,) labels for the 3 images of"),
        (np.zeros((3, 28, 28)), np.zeros((3, 28, 28)), "labels holds (3, 28, 28) labels for the 3 images"),
        (np.zeros((3, 28, 28)), np.array([0, 10, 9]), "labels: label 10 of example 1 is none of 0..9"),
        (np.zeros((3, 32, 32)), np.zeros(3), "images holds an array (3, 32, 32), where images [N, 28, 28] were wanted"),
        (np.zeros(3), np.zeros(3), "images holds an array (3,)"),
        (np.zeros((0, 28, 28)), np.zeros(0), "labels holds no examples"),
    ],
)
def test_mnist_files_that_do_not_fit_each_other_are_named(tmp_path, images, labels, message):
    paths = tmp_path / "images", tmp_path / "labels"
    for path, array in zip(paths, (images, labels), strict=True):
        path.write_bytes(idx(array))
    with pytest.raises(UserError) as error:
        files.read_mnist(*paths)
    assert message in str(error.value)


def test_svhn_has_its_axes_turned_and_10_means_0(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3, 4), dtype=np.uint8)
    images, label = files.read_svhn(write_mat(tmp_path / "a.mat", X=pixels, y=np.array([[10], [1], [9], [10]], np.uint8)))
    assert images.dtype == np.uint8
    assert images.flags.c_contiguous
    for n in range(4):
        np.testing.assert_array_equal(images[n], pixels[:, :, :, n])
    assert label.dtype == np.int64
    assert label.tolist() == [0, 1, 9, 0]


PIXELS = np.zeros((32, 32, 3, 2), np.uint8)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"y": [[1], [2]]}, "has no X; SVHN's cropped digits"),
        ({"X": PIXELS}, "has no y; SVHN's cropped digits"),
        ({"images": PIXELS}, "has no X and no y"),
        ({"X": PIXELS.astype(float), "y": [[1], [2]]}, "X is float64 (32, 32, 3, 2), where uint8 [32, 32, 3, N] was wanted"),
        ({"X": PIXELS.transpose(3, 0, 1, 2), "y": [[1], [2]]}, "X is uint8 (2, 32, 32, 3), where"),
        ({"X": PIXELS, "y": [[1]]}, "y has 1 labels for the 2 images of X"),
        ({"X": PIXELS, "y": [[1], [0]]}, "label 0 of example 1 is none of 1..10"),
        ({"X": PIXELS, "y": [[11], [1]]}, "label 11 of example 0 is none of 1..10"),
        ({"X": PIXELS, "y": [[1.0], [np.nan]]}, "label nan of example 1 is none of 1..10"),
        ({"X": PIXELS, "y": [[1.5], [2.0]]}, "label 1.5 of example 0 is none of 1..10"),
        ({"X": PIXELS, "y": np.array(["one", "two"])}, "where numbers 1..10 were wanted"),
        ({"X": PIXELS[..., :0], "y": np.zeros((0, 1))}, "holds no examples"),
    ],
)
def test_a_mat_file_without_svhns_digits_is_named(tmp_path, variables, message):
    path = write_mat(tmp_path / "train_32x32.mat", **variables)
    with pytest.raises(UserError) as error:
        files.read_svhn(path)
    assert str(path) in str(error.value)
    assert message in str(error.value)


@pytest.mark.parametrize("keep", [0, 3, 100, 200, 2000, -20])
def test_a_mat_file_cut_short_is_named(tmp_path, keep):
    path = write_mat(tmp_path / "a.mat", X=np.random.default_rng(0).integers(0, 256, (32, 32, 3, 2), np.uint8), y=[[1], [2]])
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match="a.mat cannot be read as a MATLAB file|a.mat has no"):
        files.read_svhn(path)


def test_labels_of_another_number_type_are_the_same_labels(tmp_path):
    label = [files.read_svhn(write_mat(tmp_path / "a.mat", X=PIXELS, y=np.array([[10], [3]], t)))[1] for t in ("u1", "f8")]
    assert [part.tolist() for part in label] == [[0, 3], [0, 3]]
    assert {part.dtype for part in label} == {np.dtype(np.int64)}


def test_the_flag_goes_before_the_environment(tmp_path, monkeypatch):
    flag, environment = tmp_path / "flag", tmp_path / "environment"
    flag.mkdir()
    environment.mkdir()
    monkeypatch.setenv("MMTF_DATA_DIR", str(environment))
    assert files.folder(str(flag)) == flag
    assert files.folder("") == environment
    monkeypatch.delenv("MMTF_DATA_DIR")
    assert files.folder("") is None
    monkeypatch.setenv("HOME", str(tmp_path))
    assert files.folder("~/flag") == flag


def test_a_folder_that_is_not_there_is_named_with_who_named_it(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="--data_dir names .*/none, which is no folder"):
        files.folder(str(tmp_path / "none"))
    monkeypatch.setenv("MMTF_DATA_DIR", str(tmp_path / "gone"))
    with pytest.raises(UserError, match="MMTF_DATA_DIR names .*/gone, which is no folder"):
        files.folder("")


def test_files_are_found_in_the_first_folder_that_has_them_all(tmp_path):
    for name in ("one", "one.gz", "sub/one", "sub/two.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    # The folder itself has only one of the two.
    assert files.find(tmp_path, ("sub",), ["one", "two"], ("", ".gz")) == [tmp_path / "sub/one", tmp_path / "sub/two.gz"]
    (tmp_path / "two").touch()
    assert files.find(tmp_path, ("sub",), ["one", "two"], ("", ".gz")) == [tmp_path / "one", tmp_path / "two"]
    assert files.find(tmp_path, ("sub",), ["three", "four"]) == []
    assert files.find(None, ("sub",), ["one"]) == []


def test_some_of_the_files_are_an_error_that_names_the_others(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/one.gz").touch()
    with pytest.raises(UserError, match="/sub has some of the files one, two, three, but not two, three. Add what is missing"):
        files.find(tmp_path, ("sub",), ["one", "two", "three"], ("", ".gz"))


def test_what_was_looked_for_is_said(tmp_path):
    said = files.looked_for(tmp_path, ("mnist", "MNIST/raw"), ["one", "two"], ("", ".gz"))
    assert said == f"{tmp_path} has no one, two (or .gz), nor has its mnist or MNIST/raw."
    assert files.looked_for(None, ("a",), ["one"]) == (
        "No folder with original files (one) was named by --data_dir or MMTF_DATA_DIR."
    )


# Published md5 sums of the four files, unpacked; and how many images of each class they hold.
MNIST_MD5 = {
    "train-images-idx3": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1": "27ae3e4e09519cfbb04c329615203637",
}
MNIST_CLASSES = {
    "train": [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
    "t10k": [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
}


def real_mnist(part):
    names = [f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"]
    return files.find(Path(REAL), ("mnist",), names, ("", ".gz"))


@needs_real()
@pytest.mark.parametrize("part", ["train", "t10k"])
def test_the_real_mnist_is_read_to_the_last_byte(part):
    images, label = files.read_mnist(*real_mnist(part))
    assert images.dtype == np.uint8
    assert [images.min(), images.max()] == [0, 255]
    assert np.bincount(label).tolist() == MNIST_CLASSES[part]
    for kind, array in (("images-idx3", images[..., 0]), ("labels-idx1", label)):
        assert hashlib.md5(idx(array)).hexdigest() == MNIST_MD5[f"{part}-{kind}"]


# Images of each digit, by the number of images: the official two files, and the two parts in which the first 10,000 test images
# are kept where no more can be had.
SVHN_CLASSES = {
    73_257: [4948, 13861, 10585, 8497, 7458, 6882, 5727, 5595, 5045, 4659],
    26_032: [1744, 5099, 4149, 2882, 2523, 2384, 1977, 2019, 1660, 1595],
    7_999: [543, 1536, 1278, 889, 794, 732, 616, 605, 503, 503],
    2_001: [141, 432, 312, 215, 170, 177, 157, 162, 118, 117],
}


@needs_real()
@pytest.mark.parametrize("part", ["train", "test"])
def test_the_real_svhn_is_upright_and_has_its_digits(part):
    path = files.find(Path(REAL), ("svhn",), [f"{part}_32x32.mat"])[0]
    images, label = files.read_svhn(path)
    assert np.bincount(label).tolist() == SVHN_CLASSES[len(label)]
    assert images.dtype == np.uint8
    assert images.min() < 16
    assert images.max() > 240
    np.testing.assert_array_equal(images[7], scipy.io.loadmat(path)["X"][:, :, :, 7])
    # House numbers have more vertical than horizontal strokes, so that pixels differ more from one column to the next.
    down, across = (np.abs(np.diff(images[:500].astype(int), axis=axis)).mean() for axis in (1, 2))
    assert across > 1.2 * down
