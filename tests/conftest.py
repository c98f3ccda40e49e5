"""Shared set-up: two logical CPU devices for the tests of replicas, one thread a worker, and memory given back."""

import ctypes
import gc
import os
import signal

import pytest

# A program that a test starts takes these over.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# Off by default on processors without AVX-512, where it halves the time.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# Of the processes that are started from here: memory that one thread frees is there for the others.
os.environ.setdefault("MALLOC_ARENA_MAX", "2")
WORKER = os.environ.get("PYTEST_XDIST_WORKER")
if WORKER:
    # The workers share the processors: more threads in each would wait for one another.
    for _name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(_name, "1")

# In the background, by `&` or nohup, these are ignored, and by all that is started there too: but tests send them.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, lambda *_: None)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)

_LIBC = ctypes.CDLL(None)


def pytest_configure(config):
    if getattr(config.option, "numprocesses", None):
        return  # shares the tests out among the workers, and runs none
    import tensorflow as tf

    # Before TensorFlow starts: afterwards the devices are fixed for the process.
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


def pytest_collection_finish():
    """Keep what was imported from the collector: looking through it takes longer than many a module."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def _give_memory_back():
    """Free the models and graphs of a module, which are of no use to the next."""
    yield
    import keras

    keras.utils.clear_session()
    gc.collect()
    if hasattr(_LIBC, "malloc_trim"):
        # What is free again stays the process's otherwise.
        _LIBC.malloc_trim(0)


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """The folder of what the workers of a session share."""
    import shared

    return shared.folder(tmp_path_factory, WORKER)


@pytest.fixture(scope="session")
def digits_run(place):
    """A short run on the embedded digits, which tests only read; `shared.copied` gives one to write to."""
    import shared

    return shared.digits_run(place)


@pytest.fixture(scope="session")
def watched(place):
    """A short run on small arrays with all that can be watched, which tests only read."""
    from watched import watched

    return watched(place)


@pytest.fixture(scope="session")
def digits_export(digits_run, place):
    """The same run's first exported version."""
    import shared

    return shared.digits_export(place)
