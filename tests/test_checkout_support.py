"""A script called in this process answers as one of its own would, and leaves nothing behind."""

import logging
import os
import sys
import types

import pytest
from absl import flags
from absl import logging as absl_logging
from checkout import ROOT, call, run

# Of a program that does what scripts do: flags of its own and of mmtf, logging, paths, and all the ways to end.
PROGRAM = '''"""Says what it is asked to."""
import logging, os, pathlib, sys
from absl import flags
from mmtf import config
from mmtf.cli import console
from mmtf.errors import UserError
import beside_it

WORDS = flags.DEFINE_string("words", None, "What to say.", required=True)
END = flags.DEFINE_enum("end", "well", ["well", "user", "text", "number", "bug"], "How to end.")
config.define_flags([config.TrainConfig])


def main(argv):
    console.refuse_arguments(argv)
    console.load_tensorflow()
    logging.getLogger("mmtf.verbs.train").info("told")
    os.environ["LEFT_BEHIND"] = "1"
    sys.path.insert(0, "left behind")
    pathlib.Path("here").write_text(WORDS.value)
    print(WORDS.value, flags.FLAGS.seed, os.environ.get("GIVEN"), beside_it.NAME)
    if END.value == "user":
        raise UserError("no such thing")
    if END.value == "bug":
        raise ZeroDivisionError("a bug")
    if END.value != "well":
        sys.exit({"text": "three lost", "number": 7}[END.value])


console.run(main)
'''


@pytest.fixture
def program(tmp_path):
    """The name of the program, below the root for `call` and `run`."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/say.py").write_text(PROGRAM)
    (tmp_path / "scripts/beside_it.py").write_text("NAME = 'beside'\n")
    yield str(tmp_path / "scripts/say.py")
    sys.modules.pop("beside_it", None)


def called(*arguments, **how):
    """As `call`; and that it leaves all as it was."""
    before = state()
    try:
        return call(*arguments, **how)
    finally:
        assert state() == before
        assert not {"words", "end", "seed"} & set(flags.FLAGS)


def state():
    loggers = [logging.getLogger(name) for name in (None, "absl", "mmtf")]
    levels = [(logger.level, logger.handlers[:]) for logger in loggers], absl_logging.get_verbosity()
    return levels, os.getcwd(), dict(os.environ), sys.argv[:], sys.path[:], sys.stdout, sys.stderr, flags.FLAGS.is_parsed()


@pytest.mark.parametrize(
    ("end", "status", "last"),
    [
        ("well", 0, "told"),
        ("user", 2, "error: no such thing"),
        ("text", 1, "three lost"),
        ("number", 7, "told"),
    ],
)
def test_it_says_and_ends_as_a_process_of_its_own(program, tmp_path, end, status, last):
    for seed in (3, 4):  # the second after the first
        done = called(program, "--words=a b", f"--seed={seed}", f"--end={end}", cwd=tmp_path, GIVEN="set")
        assert (done.returncode, done.stdout) == (status, f"a b {seed} set beside\n")
        lines = done.stderr.splitlines()
        assert lines[0].endswith("told"), done.stderr
        assert (len(lines), lines[-1].endswith(last)) == (1 if last == "told" else 2, True)
        assert (tmp_path / "here").read_text() == "a b"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--help"], "Says what it is asked to."),
        (["--help"], "--words: What to say."),
        (["--helpfull"], "--batch_size"),
    ],
)
def test_help_is_printed(program, tmp_path, arguments, message):
    for _ in range(2):
        done = called(program, *arguments, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (1, "")
        assert message in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--wrods=x"], 1, "FATAL Flags parsing error: Unknown command line flag 'wrods'. Did you mean: words ?"),
        (["--words=x", "--seed=y"], 1, "flag --seed=y"),
        ([], 1, "Flag --words must have a value other than None."),
        (["--words=x", "y"], 2, "error: 'y' is not a flag"),
    ],
)
def test_mistakes_are_told(program, tmp_path, arguments, status, message):
    done = called(program, *arguments, cwd=tmp_path)
    assert (done.returncode, message in done.stderr, done.stdout) == (status, True, "")
    assert not (tmp_path / "here").exists()


def test_a_bug_is_raised_and_all_is_undone(program, tmp_path):
    with pytest.raises(ZeroDivisionError, match="a bug"):
        called(program, "--words=x", "--end=bug", cwd=tmp_path)


def test_a_process_of_its_own_says_the_same(program, tmp_path):
    ours, its = (way(program, "--words=x", "--sede=4", cwd=tmp_path) for way in (called, run))
    assert (ours.returncode, ours.stdout, ours.stderr) == (its.returncode, its.stdout, its.stderr)


def test_flags_of_a_program_that_a_test_has_imported_are_out_of_the_way_and_there_again(program, tmp_path, monkeypatch):
    imported = types.ModuleType("imported_program")
    imported.__file__ = str(ROOT / "docs/examples/imported_program.py")
    monkeypatch.setitem(sys.modules, imported.__name__, imported)
    flags.DEFINE_string("words", "mine", "Another flag of this name.", module_name=imported.__name__)
    try:
        assert call(program, "--words=a", cwd=tmp_path).stdout == "a 0 None beside\n"
        assert flags.FLAGS["words"].default == "mine"
        assert [f.name for f in flags.FLAGS.flags_by_module_dict()[imported.__name__]] == ["words"]
    finally:
        delattr(flags.FLAGS, "words")
