"""oneDNN is on before TensorFlow starts, in every way in, unless the user's environment says otherwise."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import tensorflow as tf

import mmtf
from mmtf import processor
from mmtf.distributed import platform
from mmtf.training import saving


def told(code, **environment):
    """Return what a new process prints."""
    env = {k: v for k, v in os.environ.items() if k != processor.ONEDNN} | environment
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout.split()


X86 = processor.platform.machine().lower() in ("x86_64", "amd64")


@pytest.mark.skipif(not X86, reason="Turned on for x86 processors alone.")
@pytest.mark.parametrize(("given", "on"), [({}, "True"), ({"TF_ENABLE_ONEDNN_OPTS": "0"}, "False")])
def test_importing_the_package_turns_it_on_for_tensorflow(given, on):
    code = "import mmtf\nfrom mmtf.distributed import platform\nprint(platform.has_onednn(), mmtf.ONEDNN_CAME_TOO_LATE)"
    assert told(code, **given) == [on, "False"]


@pytest.mark.parametrize(
    ("machine", "imported", "setting", "after", "late"),
    [
        ("x86_64", False, None, "1", False),
        ("AMD64", True, None, "1", True),
        ("x86_64", True, "0", "0", False),
        ("x86_64", False, "1", "1", False),
        ("aarch64", True, None, None, False),
    ],
)
def test_a_users_setting_stands_and_what_comes_too_late_is_known(monkeypatch, machine, imported, setting, after, late):
    monkeypatch.delenv(processor.ONEDNN, raising=False)
    if setting is not None:
        monkeypatch.setenv(processor.ONEDNN, setting)
    modules = {"tensorflow": None} if imported else {}
    monkeypatch.setattr(processor, "sys", SimpleNamespace(modules=modules))
    monkeypatch.setattr(processor, "platform", SimpleNamespace(machine=lambda: machine))
    assert processor.turn_on_onednn() is late
    assert os.environ.get(processor.ONEDNN) == after


@pytest.mark.parametrize(("late", "on", "warned"), [(True, False, True), (True, True, False), (False, False, False)])
def test_training_without_it_says_so_where_it_came_too_late(monkeypatch, caplog, late, on, warned):
    monkeypatch.setattr(mmtf, "ONEDNN_CAME_TOO_LATE", late)
    monkeypatch.setattr(platform, "has_onednn", lambda: on)
    assert platform.warn_without_onednn() is warned
    assert ("Import mmtf first" in caplog.text) is warned


def test_a_run_records_it_and_a_resumption_with_another_setting_is_warned_of(tmp_path, monkeypatch):
    strategy = tf.distribute.get_strategy()
    now = platform.platform_of(strategy)
    assert now["onednn"] is platform.has_onednn()
    (tmp_path / "training.json").write_text("{}")
    run = SimpleNamespace(path=tmp_path, read_json=lambda name: {"platform": now | {"onednn": not now["onednn"]}})
    assert saving.say_what_differs(run, strategy) == [f"onednn was {not now['onednn']} and is {now['onednn']}"]


# As Linux has it, shortened: processors of several kinds.
KINDS = {
    "AMX with bfloat16": "fpu sse2 avx2 avx512f avx512_bf16 amx_bf16 amx_tile",
    "AVX-512 with bfloat16": "fpu avx2 avx512f avx512_bf16",
    "AVX-512": "fpu avx2 avx512f avx512_vnni",
    "AVX2": "fpu avx avx2 fma",
    None: "fpu sse2",
}


@pytest.fixture
def of_kind(tmp_path, monkeypatch):
    def read(flags):
        first = f"processor\t: 0\nmodel name\t: Some CPU: @ 2GHz\nflags\t\t: {flags}\nbogomips\t: 1\n"
        (tmp_path / "cpuinfo").write_text(f"{first}\nprocessor\t: 1\nflags\t: avx2\n")
        monkeypatch.setattr(processor, "INFO", tmp_path / "cpuinfo")
        processor._information.cache_clear()

    yield read
    processor._information.cache_clear()


@pytest.mark.parametrize("known", KINDS)
def test_what_a_processor_has_is_read_of_its_first_core(of_kind, known):
    of_kind(KINDS[known])
    assert processor.name() == "Some CPU: @ 2GHz"
    assert processor.instructions() == known
    wanted = None if known is None else "bfloat16" in known
    assert processor.multiplies_bfloat16() is wanted


def test_a_system_that_tells_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(processor, "INFO", tmp_path / "none")
    processor._information.cache_clear()
    assert (processor.name(), processor.instructions(), processor.multiplies_bfloat16()) == (None, None, None)
    processor._information.cache_clear()


@pytest.mark.parametrize(
    ("known", "precision", "factor"),
    [
        ("AVX2", "bfloat16", "11"),
        ("AVX-512", "bfloat16", "2"),
        ("AVX2", "float32", None),
        ("AMX with bfloat16", "bfloat16", None),
    ],
)
def test_bfloat16_without_instructions_for_it_is_warned_of(of_kind, caplog, known, precision, factor):
    of_kind(KINDS[known])
    assert platform.warn_of_bfloat16(precision) is (factor is not None)
    assert (f"about {factor} times as long" in caplog.text) is (factor is not None)
