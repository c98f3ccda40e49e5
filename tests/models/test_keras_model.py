"""A model is a Keras citizen: fitted on plain dicts, called, shown, and loaded from a `.keras` file in a process of its own."""

import json
import subprocess
import sys
import zipfile

import adversarial_toys
import keras
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import tensorflow as tf
import toys

import mmtf
from mmtf import keras_names, registry
from mmtf.models.gan.base import AdversarialModel

VALUES = toys.values(8)
MASK = {"vector": np.arange(8) != 2, "image": np.arange(8) != 5}


def made(kind="mmjsd", own=False, **options):
    """Return a model with default networks, on request with one own encoder."""
    cls, parts = registry.model_class(kind), toys.modalities(2)
    encoders = {"vector": toys.encoder(parts[0])} if own else {}
    return cls(parts, encoders, shared_dim=3, seed=1, **options)


def small(**how):
    model = toys.model("mmjsd")
    model.compile(keras.optimizers.Adam(0.01), **{"run_eagerly": True} | how)
    return model


def weights(model):
    found = {name: np.array(v) for name, v in model.named_weights().items()}
    return found | {
        f"{name}.{i}": np.array(v) for name in model.learned() for i, v in enumerate(getattr(model, name).variables)
    }


def assert_equal(found, wanted):
    assert set(found) == set(wanted)
    for name, x in wanted.items():
        np.testing.assert_array_equal(found[name], x, err_msg=name)


@pytest.mark.parametrize("mask", [None, MASK])
def test_fit_takes_arrays_and_data_sets_of_plain_dicts(mask):
    """What the pipeline makes of the same examples trains the same weights."""
    batch = VALUES if mask is None else (VALUES, mask)
    pipeline = {"values": VALUES} | ({} if mask is None else {"mask": mask})
    results = []
    forms = [batch, tf.data.Dataset.from_tensors(batch), tf.data.Dataset.from_tensors(pipeline)]
    for number, data in enumerate(forms):
        # Once as a compiled graph, where shapes are looked at before there are numbers.
        model = small(run_eagerly=number > 0 or mask is None)
        before = weights(model)
        model.fit(data, epochs=2, verbose=0, shuffle=None if number else False)
        results.append(weights(model))
        assert any(not np.array_equal(x, before[name]) for name, x in results[-1].items())
    for found in results[1:]:
        for name, x in results[0].items():
            np.testing.assert_allclose(found[name], x, err_msg=name, **toys.ROUNDING)


def test_what_is_missing_changes_nothing():
    holed = VALUES | {"vector": np.where(MASK["vector"][:, None], VALUES["vector"], np.nan)}
    same, other = small(), small()
    same.fit((VALUES, MASK), verbose=0)
    other.fit((holed, MASK), verbose=0)
    for name, x in weights(same).items():
        np.testing.assert_allclose(weights(other)[name], x, err_msg=name, **toys.ROUNDING)


def test_a_modality_may_be_called_values():
    """Which the pipeline calls all values."""
    model = mmtf.MVAE([mmtf.Modality("values", (3,), "normal"), mmtf.Modality("mask", (2,), "normal")], shared_dim=2)
    model.compile("sgd", run_eagerly=True)
    batch = {"values": np.ones((4, 3), np.float32), "mask": np.ones((4, 2), np.float32)}
    for data in (batch, tf.data.Dataset.from_tensors({"values": batch})):
        assert np.isfinite(model.fit(data, verbose=0, shuffle=None).history["loss"]).all()


def test_calling_and_predicting_reconstruct():
    model = small()
    wanted = model.reconstruct(VALUES)
    for found in (model(VALUES), model.predict(VALUES, batch_size=3, verbose=0)):
        for name, x in wanted.items():
            np.testing.assert_allclose(found[name], x, err_msg=name, **toys.ROUNDING)
    wanted = model.reconstruct(VALUES, MASK)
    found = model.predict((VALUES, MASK), verbose=0)
    np.testing.assert_allclose(found["image"], wanted["image"], **toys.ROUNDING)


def test_every_verb_takes_tables_sparse_matrices_and_lists():
    model = small()
    wanted = model.posterior({"vector": VALUES["vector"]}).mean()
    table, listed = pd.DataFrame(VALUES["vector"]), VALUES["vector"].tolist()
    for given in (table, scipy.sparse.csr_matrix(VALUES["vector"]), np.array(listed, np.float32), tf.constant(listed)):
        np.testing.assert_array_equal(model.posterior({"vector": given}).mean(), wanted)
    np.testing.assert_allclose(model.posterior({"vector": listed}).mean(), wanted, rtol=1e-6)
    shared, private = np.ones((2, 3)), {"vector": pd.DataFrame(np.ones((2, 2)))}
    wanted = model.decode(tf.ones([2, 3]), {"vector": tf.ones([2, 2])}, to=["vector"])["vector"].mean()
    np.testing.assert_array_equal(model.decode(shared, private, to=["vector"])["vector"].mean(), wanted)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"vector": np.full((2, 4), np.nan)}, "vector"),
        ({"text": np.full((2, 3), 7)}, "text"),
        ({"image": np.full((2, 2, 2, 1), np.inf)}, "image"),
        ({"vector": np.ones((2, 5))}, "vector"),
    ],
)
@pytest.mark.parametrize("container", ["array", "list", "table", "sparse"])
def test_the_same_values_are_refused_in_every_container(container, given, message):
    """Rule: the same numbers in another container give the same answer, a refusal too."""
    ((name, value),) = given.items()
    made = {"array": np.asarray, "list": np.ndarray.tolist, "table": pd.DataFrame, "sparse": scipy.sparse.csr_matrix}[container]
    if container in ("table", "sparse"):
        # They have two axes.
        value = value.reshape(len(value), -1)
    with pytest.raises(ValueError, match=message):
        toys.model("mmjsd").posterior({name: made(value)})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.ones((4, 4)), "wants a dict of values by modality.*not"),
        ({"vektor": np.ones((4, 4))}, "vektor"),
    ],
)
def test_data_of_another_form_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        small().fit(data, verbose=0)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"metrics": ["accuracy"]}, "metrics.*does nothing for MMJSD.*mmtf.evaluate"),
        ({"weighted_metrics": ["accuracy"]}, "metrics.*does nothing for MMJSD"),
        ({"loss": "mse"}, "loss=.*does nothing for MMJSD, whose loss is its objective"),
        ({"loss_weights": [1.0]}, "loss_weights=.*does nothing for MMJSD"),
        ({"run_eagrly": True}, "run_eagrly"),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_asked_for(how, message):
    with pytest.raises((ValueError, TypeError), match=message):
        small(**how)


def test_an_adversarial_model_takes_the_halves_of_a_batch_for_its_phases():
    """As though the pipeline had made a batch for each phase of them, and the same values for the unimodal terms."""
    halves = {name: np.stack(np.split(x, 2), axis=1) for name, x in VALUES.items()}
    results = []
    for data in (VALUES, {"values": halves, "single": halves}):
        model = adversarial_toys.model()
        model.compile(keras.optimizers.SGD(0.01), run_eagerly=True)
        model.fit(tf.data.Dataset.from_tensors(data), verbose=0)
        results.append(weights(model))
    for name, x in results[0].items():
        np.testing.assert_allclose(results[1][name], x, err_msg=name, **toys.ROUNDING)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (toys.values(7), "takes the two halves of a batch, and 7 examples have none"),
        ((VALUES, MASK), "MMALI learns from complete examples"),
    ],
)
def test_what_an_adversarial_model_cannot_learn_from_is_refused(data, message):
    model = adversarial_toys.model()
    model.compile("adam", run_eagerly=True)
    with pytest.raises(ValueError, match=message):
        model.fit(tf.data.Dataset.from_tensors(data), verbose=0)


def test_a_model_is_saved_with_its_optimizer_and_goes_on_where_it_was(tmp_path):
    model = small()
    model.fit(VALUES, verbose=0)
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert_equal(weights(again), weights(model))
    assert again.options == model.options
    assert again.modalities == model.modalities
    for each in (model, again):
        each.fit(VALUES, verbose=0, shuffle=False)
    for name, x in weights(model).items():
        np.testing.assert_allclose(weights(again)[name], x, err_msg=name, **toys.ROUNDING)


def test_a_saved_adversarial_model_keeps_both_optimizers(tmp_path):
    model = adversarial_toys.model()
    model.compile("adam", discriminator_optimizer=keras.optimizers.Adam(0.5), run_eagerly=True)
    model.fit(VALUES, verbose=0)
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert_equal(weights(again), weights(model))
    assert float(again.discriminator_optimizer.learning_rate) == 0.5


def test_an_uncompiled_model_is_saved_too(tmp_path):
    model = toys.model("mmjsd")
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert not again.compiled
    np.testing.assert_array_equal(again(VALUES)["image"], model(VALUES)["image"])


def test_a_model_of_ones_own_is_saved_too(tmp_path):
    class Other(registry.model_class("mmjsd")):
        pass

    model = Other(toys.modalities(2), shared_dim=3)
    model.save(tmp_path / "m.keras")
    assert type(keras.saving.load_model(tmp_path / "m.keras")) is Other


def test_a_file_of_another_version_is_refused(tmp_path):
    small().save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as old, zipfile.ZipFile(tmp_path / "other.keras", "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                config = json.loads(content)
                config["config"]["mmtf_format"] = 99
                content = json.dumps(config)
            new.writestr(name, content)
    with pytest.raises(Exception, match=r"Another version of mmtf wrote this \.keras file of a MMJSD"):
        keras.saving.load_model(tmp_path / "other.keras")


LOAD = """
import sys
import mmtf
import keras
import numpy as np
folder = sys.argv[1]
given = dict(np.load(folder + "/given.npz"))
for name in sys.argv[2:]:
    model = keras.saving.load_model(f"{folder}/{name}.keras")
    np.savez(f"{folder}/{name}.found.npz", **{n: np.array(x) for n, x in model(given).items()})
"""


ALL = [(kind, own) for kind in registry.MODELS for own in (False, True)]
SOME = [("mmjsd", True), ("jmvae", False), ("mmali", True)]


@pytest.mark.parametrize("cases", [SOME, pytest.param(ALL, marks=pytest.mark.slow)], ids=["some", "all"])
def test_models_answer_alike_in_a_fresh_process(tmp_path, cases):
    """Bit by bit: with default networks, and with own ones."""
    np.savez(tmp_path / "given.npz", **VALUES)
    wanted = {}
    for kind, own in cases:
        if own and issubclass(registry.model_class(kind), AdversarialModel):
            model = adversarial_toys.model("joint" if kind == "mmali_joint" else "classes")
        else:
            model = made(kind, own)
        for v in model.weights:
            v.assign(v + 0.01 * np.random.default_rng(v.shape.num_elements()).normal(size=v.shape))
        model.save(tmp_path / f"{kind}-{own}.keras")
        wanted[f"{kind}-{own}"] = {n: np.array(x) for n, x in model(VALUES).items()}
    code = [sys.executable, "-c", LOAD, str(tmp_path), *wanted]
    done = subprocess.run(code, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    for name, answers in wanted.items():
        assert_equal(dict(np.load(tmp_path / f"{name}.found.npz")), answers)


def test_every_layer_of_the_networks_is_known_to_keras():
    """Whatever the order of imports; a layer that is forgotten would only be missed when a file is loaded elsewhere."""
    import importlib
    import pkgutil

    from mmtf import networks

    for module in pkgutil.walk_packages(networks.__path__, "mmtf.networks."):
        importlib.import_module(module.name)
    own = {
        cls
        for cls in _subclasses(keras.layers.Layer)
        if cls.__module__.startswith("mmtf.networks") and not issubclass(cls, keras.Model)
    }
    known = set()
    for name, row in keras_names.classes().items():
        module, _, attribute = row.partition(":")
        cls = getattr(importlib.import_module(module), attribute)
        assert keras.saving.get_registered_object(name) is cls
        known.add(cls)
    # The base of spectral layers, and an encoder that a model makes of others, are in no file.
    assert {cls.__name__ for cls in own - known} == {"Spectral", "JointEncoder"}


def test_summary_shows_every_network_and_what_it_counts():
    model, lines = made(own=True), []
    model.summary(print_fn=lines.append)
    text = "\n".join(lines)
    for part, each in model.networks.items():
        for name, network in each.items():
            (row,) = [line for line in lines if line.startswith(f"{part} {name} ")]
            assert row.endswith(f"{network.count_params():,}")
    trainable = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    assert f"{trainable:,}" in text
    assert "vector, image, text; shared code 3, private codes vector 2" in text
    nested = []
    model.summary(print_fn=nested.append, expand_nested=True)
    assert any("Total params" in text for text in nested)
    assert nested[: len(lines)] == lines


def test_public_names_are_those_of_the_models():
    assert {getattr(mmtf, registry.model_class(kind).__name__) for kind in registry.MODELS} == {
        registry.model_class(kind) for kind in registry.MODELS
    }


def _subclasses(cls):
    return {cls}.union(*(_subclasses(each) for each in cls.__subclasses__()))
