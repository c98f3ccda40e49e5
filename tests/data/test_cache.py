"""The cache of arrays: what was kept comes back exactly or is built again; one builds, the others wait; nothing half-built."""

import errno
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from checkout import ROOT

from mmtf.data import cache

WANTED = {"images": np.arange(24, dtype=np.uint8).reshape(2, 3, 4), "share": np.array([0.5, np.nan])}


def never():
    raise AssertionError("built again")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def assert_same(found, wanted):
    assert list(found) == list(wanted)
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "set-0123.npz"


def test_arrays_are_built_once_and_come_back_as_they_were(path):
    wanted = {**WANTED, "file": np.array(3, np.int64), "words": np.array(["a", "bcd"]), "none": np.zeros((0, 5), np.float32)}
    assert_same(cache.arrays(path, lambda: wanted, "x"), wanted)
    assert_same(cache.arrays(path, never, "x"), wanted)
    assert names(path.parent) == [path.name]
    with np.load(path) as archive:  # a reader needs no mmtf
        np.testing.assert_array_equal(archive["images"], WANTED["images"])


def test_arrays_are_read_only_and_the_builders_own_stay_as_they_were(path):
    own = np.zeros(3)
    for build in (lambda: {"a": own}, never):
        with pytest.raises(ValueError, match="read-only"):
            cache.arrays(path, build, "x")["a"][0] = 1
    own[0] = 1


def test_a_file_cut_anywhere_is_built_again_with_a_warning(path, caplog):
    cache.arrays(path, lambda: WANTED, "x")
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        caplog.clear()
        assert_same(cache.arrays(path, lambda: WANTED, "the pictures"), WANTED)
        assert f"The cached file {path} cannot be used" in caplog.text
        assert "preparing the pictures again" in caplog.text
        assert path.read_bytes() == whole
        assert names(path.parent) == [path.name]


def test_no_flipped_bit_gives_other_arrays(path):
    cache.arrays(path, lambda: WANTED, "x")
    whole = path.read_bytes()
    found_out = set()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        found, problem = cache._read(path)
        if found is None:
            found_out.add(place)
            assert problem
        else:  # a date or a permission in the archive's directory
            assert_same(found, WANTED)
    content = whole.index(WANTED["images"].tobytes())
    assert found_out.issuperset(range(content, content + 24))


def test_a_damaged_shape_does_not_pass_for_a_smaller_array(path):
    wanted = {"a": np.ones((3, 50_000), np.uint8)}
    cache.arrays(path, lambda: wanted, "x")
    whole = path.read_bytes()
    assert whole.count(b"(3, 50000)") == 1
    path.write_bytes(whole.replace(b"(3, 50000)", b"(1, 50000)"))  # one flipped bit; reading ends before the checksum
    assert_same(cache.arrays(path, lambda: wanted, "x"), wanted)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_build_that_fails_leaves_nothing_and_the_next_one_succeeds(path, error):
    def build():
        raise error("stopped")

    with pytest.raises(error, match="stopped"):
        cache.arrays(path, build, "x")
    assert names(path.parent) == []
    assert_same(cache.arrays(path, lambda: WANTED, "x"), WANTED)


def test_objects_are_refused_and_leave_nothing(path):
    with pytest.raises(ValueError, match="allow_pickle"):
        cache.arrays(path, lambda: {"a": np.array([{}])}, "x")
    assert names(path.parent) == []


def test_a_folder_that_cannot_be_made_costs_a_warning_and_not_the_result(tmp_path, caplog):
    (tmp_path / "taken").write_text("a file")
    for _ in range(2):
        caplog.clear()
        found = cache.arrays(tmp_path / "taken" / "set.npz", lambda: WANTED, "the pictures")
        assert_same(found, WANTED)
        assert not found["images"].flags.writeable
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert f"Preparing the pictures, but not keeping the result: {tmp_path / 'taken'} cannot be written" in caplog.text
        assert "MMTF_CACHE_DIR" in caplog.text


def test_a_full_disk_costs_a_warning_and_leaves_nothing(path, caplog, monkeypatch):
    def full(file, array, **_):
        file.write(b"half of it")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(np.lib.format, "write_array", full)
        assert_same(cache.arrays(path, lambda: WANTED, "x"), WANTED)
    assert "No space left on device" in caplog.text
    assert names(path.parent) == []


def test_an_error_of_the_builders_own_files_is_not_taken_for_the_caches(path):
    def build():
        raise FileNotFoundError("no such image")

    with pytest.raises(FileNotFoundError, match="no such image"):
        cache.arrays(path, build, "x")


# A process of its own, as another run of mmtf would be. It says when it builds, and builds until its input ends, or fails
# where there is any input.
PROGRAM = """
import logging, sys
import numpy as np
from pathlib import Path
from mmtf.data import cache

logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)

def build():
    print("building", flush=True)
    if sys.stdin.read():
        sys.exit("failed")
    return {"a": np.array([int(sys.argv[2])])}

print("has", cache.arrays(Path(sys.argv[1]), build, "the pictures")["a"].item(), flush=True)
"""


@pytest.fixture
def process(path):
    """Starts processes that want the file at `path`, and ends them."""
    started = []

    def start(number: int) -> subprocess.Popen:
        command = [sys.executable, "-c", PROGRAM, str(path), str(number)]
        pipe, root = subprocess.PIPE, ROOT
        started.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True, cwd=root))
        return started[-1]

    yield start
    for each in started:
        each.kill()
        each.communicate()


def test_of_two_processes_one_builds_and_the_other_waits_and_reads(path, process):
    first = process(1)
    assert first.stdout.readline() == "building\n"
    second = process(2)
    assert second.stdout.readline() == "Another process is preparing the pictures; waiting for it.\n"
    third = process(3)
    assert third.stdout.readline() == "Another process is preparing the pictures; waiting for it.\n"
    assert first.communicate()[0] == "has 1\n"
    assert second.communicate()[0] == "has 1\n"
    assert third.communicate()[0] == "has 1\n"
    assert names(path.parent) == [path.name]


def test_after_a_failure_one_of_those_who_waited_builds_and_newcomers_wait_for_it(path, process):
    first = process(1)
    assert first.stdout.readline() == "building\n"
    second = process(2)
    assert second.stdout.readline() == "Another process is preparing the pictures; waiting for it.\n"
    assert first.communicate("fail")[0] == "failed\n"
    assert second.stdout.readline() == "building\n"
    third = process(3)
    assert third.stdout.readline() == "Another process is preparing the pictures; waiting for it.\n"
    assert second.communicate()[0] == "has 2\n"
    assert third.communicate()[0] == "has 2\n"
    assert names(path.parent) == [path.name]


def test_who_waits_for_a_process_that_is_killed_builds_itself(path, process):
    first = process(1)
    assert first.stdout.readline() == "building\n"
    second = process(2)
    assert second.stdout.readline() == "Another process is preparing the pictures; waiting for it.\n"
    first.kill()
    first.wait()
    assert second.communicate()[0] == "building\nhas 2\n"
    assert names(path.parent) == [path.name]


def test_what_a_killed_process_left_does_not_hold_up_the_next_and_goes(path, process):
    first = process(1)
    assert first.stdout.readline() == "building\n"
    first.kill()
    first.wait()
    path.with_name(path.name + ".part").write_bytes(b"half")  # as if killed later, while it wrote
    assert names(path.parent) == [path.name + ".lock", path.name + ".part"]
    assert_same(cache.arrays(path, lambda: WANTED, "x"), WANTED)
    assert names(path.parent) == [path.name]


def test_a_digest_tells_kinds_bounds_shapes_and_types_apart(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"ab")
    row = np.arange(6, dtype=np.int32)
    parts = [
        [],
        [""],
        ["", ""],
        ["ab"],
        [b"ab"],
        ["a", "b"],
        ["b", "a"],
        [file],
        [str(file)],
        [np.frombuffer(b"ab", np.uint8)],
        [row],
        [row.reshape(2, 3)],
        [row.reshape(3, 2)],
        [row.astype(np.int64)],
        [row.view(np.float32)],
        [np.zeros((0, 2))],
        [np.zeros((2, 0))],
    ]
    digests = [cache.digest(*each) for each in parts]
    assert len(set(digests)) == len(parts)
    assert all(len(d) == 64 and int(d, 16) >= 0 for d in digests)


def test_a_digest_is_of_the_content(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    content = bytes(range(256)) * 10_000  # more than is read at once
    one.write_bytes(content)
    other.write_bytes(content)
    assert cache.digest(one) == cache.digest(other)
    other.write_bytes(content[:-1] + b"x")
    assert cache.digest(one) != cache.digest(other)
    columns = np.arange(12).reshape(3, 4)[:, ::2]
    assert cache.digest(columns) == cache.digest(columns.copy())
    # Fixed, so that files kept by one version are found by the next.
    assert cache.digest("a", b"b").startswith("7d94dce97b8a19ae")


def test_a_digest_of_anything_else_is_refused():
    for part in (3, None, ["a"], np.array([{}])):
        with pytest.raises(TypeError, match="A digest is of bytes, strings, arrays of numbers and paths"):
            cache.digest(part)


def test_the_folder_is_the_one_given_or_else_that_of_the_environment_or_else_in_the_home(tmp_path, monkeypatch):
    monkeypatch.setenv("MMTF_CACHE_DIR", str(tmp_path / "of environment"))
    assert cache.folder("given") == Path("given")
    assert cache.folder() == tmp_path / "of environment"
    monkeypatch.delenv("MMTF_CACHE_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.folder() == tmp_path / ".cache" / "mmtf"
    assert not cache.folder().exists()
