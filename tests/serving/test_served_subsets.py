"""Every example has modalities of its own: one call answers what the verbs say of each set, whatever fills the gaps."""

import adversarial_toys
import numpy as np
import pytest
import tensorflow as tf
import toys

from mmtf.errors import UserError
from mmtf.modality import subsets
from mmtf.serving import signatures
from mmtf.serving.requests import PRESENT, Request

NAMES = ("vector", "image", "text")
SETS = subsets(NAMES)
FILLERS = {
    "nan": lambda x: np.full_like(x, np.nan) if x.dtype.kind == "f" else np.full_like(x, -7),
    "huge": lambda x: np.full_like(x, 1e30) if x.dtype.kind == "f" else np.full_like(x, 2**31 - 1),
}
VALUES = toys.values(len(SETS))
MASK = {n: np.array([n in s for s in SETS]) for n in NAMES}
SEED = tf.constant([3, 4])
MODELS = {
    **{kind: (toys.model, kind, {}) for kind in toys.MODELS},
    "without private codes": (toys.model, "mvae", {"private": 0}),
    **{f"game, {mean}": (adversarial_toys.model, "joint", {"subset_posterior": mean}) for mean in ("geometric", "arithmetic")},
}
# One of each kind of posterior: a mixture, a network of its own, a product, and a game's. What the verbs say of sets is tested
# with the models, of all of them.
FEW = ("mmjsd", "jmvae", "without private codes", "game, geometric")


def asked(filler):
    values = {n: np.where(MASK[n].reshape(-1, *[1] * (x.ndim - 1)), x, FILLERS[filler](x)) for n, x in VALUES.items()}
    return {n: tf.constant(x) for n, x in values.items()} | {PRESENT.format(n): tf.constant(x) for n, x in MASK.items()}


def shown(values):
    """What is served of what a verb says: pixels within 0..1."""
    return {n: np.clip(x, 0, 1) if n == "image" else x for n, x in values.items()}


def by_rows(answer):
    """Example n has the nth set: what `answer` says of that set, `{name: [B, ...]}`, at its own row."""
    found = [{n: np.asarray(x)[row] for n, x in answer(s).items()} for row, s in enumerate(SETS)]
    return {n: np.stack([row[n] for row in found]) for n in found[0]}


def expected(model):
    """The verbs' answers, each from the values of one set alone."""
    given = {s: {n: VALUES[n] for n in s} for s in SETS}

    def moments(s):
        q = model.posterior(given[s])
        return {"mean": q.mean(), "stddev": q.stddev()}

    def rebuilt(s):
        rest = [n for n in NAMES if n not in s]
        return model.reconstruct(given[s]) | (model.translate(given[s], to=rest) if rest else {})

    encoded = by_rows(moments)
    return {
        "encode_any": encoded,
        "embed_any": {"embedding": np.concatenate([encoded["mean"], encoded["stddev"]], -1)},
        "translate_any": by_rows(lambda s: shown(model.translate(given[s], to=NAMES))),
        "sample_from_any": by_rows(lambda s: shown(model.translate(given[s], to=NAMES, seed=SEED))),
        "reconstruct_any": by_rows(lambda s: shown(rebuilt(s))),
    }


@pytest.mark.parametrize("setting", [pytest.param(m, marks=[] if m in FEW else [pytest.mark.slow]) for m in MODELS])
def test_one_call_of_all_sets_equals_the_verbs_of_each(setting):
    make, kind, options = MODELS[setting]
    model = make(kind, **options)
    verbs = signatures.verbs_of(model)
    for name, answers in expected(model).items():
        served = verbs[name].traced()
        seed = {"seed": SEED} if name.startswith("sample") else {}
        found, other = (served(**asked(filler), **seed) for filler in FILLERS)
        assert set(found) == set(answers)
        for output, x in answers.items():
            np.testing.assert_allclose(found[output], x, **toys.ROUNDING, err_msg=f"{name} {output}")
            np.testing.assert_allclose(found[output], other[output], **toys.ROUNDING, err_msg=f"{name} {output}")


def test_codes_that_were_encoded_are_decoded_to_what_is_translated():
    model = toys.model("mopoe")
    verbs = signatures.verbs_of(model)
    mean = model.posterior(VALUES).mean()
    codes = {"shared": mean} | {f"private_{n}": model.encode(VALUES).private[n].mean() for n in NAMES}
    found = verbs["decode"].traced()(**codes)
    for name, x in shown(model.reconstruct(VALUES)).items():
        np.testing.assert_allclose(found[name], x, rtol=1e-5, atol=1e-5)


def test_models_of_one_modality_or_without_likelihood_have_fewer_signatures():
    common = {"encode", "reconstruct", "generate", "decode", "compare"}
    assert set(signatures.verbs_of(toys.model(count=1))) == common | {"encode_vector", "embed_vector", "score_vector"}
    found = signatures.verbs_of(adversarial_toys.model())
    assert {"encode_any", "embed_any", "translate_image", "sample_from_text"} < set(found)
    assert not [name for name in found if name.startswith("score")]


def test_names_that_would_collide_are_refused():
    parts = toys.modalities()
    for name, twice in (("any", "embed_any"), ("seed", "seed"), ("present_image", "present_image")):
        model = toys.model()
        model.modalities = {name: parts[0], **{m.name: m for m in parts[1:]}}
        object.__setattr__(parts[0], "name", name)
        with pytest.raises(UserError, match=f"two things called '{twice}'"):
            signatures.verbs_of(model)


def test_a_request_has_its_inputs_in_the_order_of_the_model():
    request = Request(toys.modalities(), masked=True)
    assert [spec.name for spec in request.specs()] == [*NAMES, *(PRESENT.format(n) for n in NAMES)]
