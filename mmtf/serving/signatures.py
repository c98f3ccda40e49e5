"""The functions of a SavedModel: every verb of a model, of any set of modalities, with its inputs checked inside the graph.

docs/serving.md has them as a table.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import tensorflow as tf

from mmtf.distributions.likelihood import shown_value
from mmtf.errors import UserError
from mmtf.modality import Modality
from mmtf.serving import checks, scores
from mmtf.serving.requests import RAW, RawForm, Request, answered, has_raw

Concrete = tf.types.experimental.ConcreteFunction

DEFAULT = "serving_default"
N, SEED = tf.TensorSpec([], tf.int32, name="n"), tf.TensorSpec([2], tf.int32, name="seed")
QUERIES, CANDIDATES, SHARED, PRIVATE = "queries", "candidates", "shared", "private_{}"
NOTHING = Request(())


@dataclasses.dataclass(frozen=True)
class Verb:
    """One signature before it is traced.

    Attributes:
      function: `(values, mask, **further inputs)` -> a dict of outputs.
      takes: the values that it takes. further: its other inputs.
      gives: the modalities whose values it answers.
    """

    function: Callable[..., Mapping[str, tf.Tensor]]
    takes: Request = NOTHING
    further: tuple[tf.TensorSpec, ...] = ()
    gives: tuple[Modality, ...] = ()

    def specs(self) -> list[tf.TensorSpec]:
        return [*self.takes.specs(), *self.further]

    def traced(self) -> Concrete:
        names = [spec.name for spec in self.takes.specs()]

        def run(**given):
            values = {n: given.pop(n) for n in names}
            if "n" in given:
                given["n"] = checks.after([checks.at_least_one("n", given["n"])], given["n"])
            answer = self.function(*(self.takes.read(values) if values else ({}, None)), **given)
            return {**answer, **{m.name: answered(m, answer[m.name]) for m in self.gives}}

        return _function(run, self.specs())


def signatures(model, fills: Mapping[str, str] | None = None) -> dict[str, Concrete]:
    """Return the functions of the SavedModel, by name. Images are float32 in 0..1, also those answered; text is int32
    class indices, seeds are int32 [2].

    `encode_X`      x -> shared_mean, shared_stddev (and private_mean, private_stddev) of q(c|x) and q(s|x)
    `encode`        all modalities -> mean and stddev of the joint posterior q(c|X); also `serving_default`
    `translate_X`   x -> all other modalities, from the means of posterior and priors
    `sample_from_X` x and a seed -> all other modalities, sampled
    `reconstruct`   all modalities -> the same, from the means of their posteriors
    `generate`      n and a seed -> n samples of all modalities
    `decode`        shared and private codes -> all modalities
    `embed_X`       x -> embedding; `compare` holds embeddings against one another
    `score_X`       x, n and a seed -> log_likelihood by n samples, of models that have a likelihood

    `encode_any`, `translate_any`, `sample_from_any`, `reconstruct_any`, `embed_any` and `score_any` take what each example
    has: all modalities, and `present_<name>`. Each NAME whose inputs or outputs have another form in files is also there as
    `NAME_raw`, with images as uint8 and texts as strings.

    Args:
      fills: characters behind shorter texts, by modality, where they are not spaces.

    Raises:
      UserError: modalities of such names that two signatures, or two inputs, would be called the same.
    """
    verbs = verbs_of(model)
    plain = {name: verb.traced() for name, verb in verbs.items()}
    raw = {f"{name}{RAW}": _raw(plain[name], verb, fills or {}) for name, verb in verbs.items() if _wants_raw(verb)}
    _check_apart([*plain, *raw, DEFAULT])
    return {DEFAULT: plain["encode"]} | plain | raw


def verbs_of(model) -> dict[str, Verb]:
    """Return the plain signatures of a model, by name, before they are traced. Raises UserError as `signatures` does."""
    names, parts = model.names, tuple(model.modalities.values())
    several = len(names) > 1
    verbs = [("encode", Verb(lambda x, _: _moments(model.posterior(x)), Request(parts)))]
    verbs += [("reconstruct", Verb(lambda x, _: model.reconstruct(x), Request(parts), (), parts))]
    verbs += [("generate", Verb(lambda *_, n, seed: model.generate(n, seed), NOTHING, (N, SEED), parts))]
    verbs += [("decode", _decode(model)), ("compare", _compare(model))]
    for name, modality in model.modalities.items():
        others = tuple(other for other in names if other != name)
        verbs += _of_some(model, name, Request((modality,)), others)
        verbs += [(f"encode_{name}", Verb(encoder(model, name), Request((modality,))))]
    if several:
        everything = Request(parts, masked=True)
        verbs += _of_some(model, "any", everything, names)
        verbs += [("encode_any", Verb(lambda x, mask: _moments(model.posterior(x, mask=mask)), everything))]
        verbs += [("reconstruct_any", Verb(lambda x, mask: model.reconstruct(x, mask), everything, (), parts))]
    _check_apart([name for name, _ in verbs])
    for _, verb in verbs:
        _check_apart([spec.name for spec in verb.specs()])
    return dict(verbs)


def _of_some(model, which: str, given: Request, to: tuple[str, ...]) -> list[tuple[str, Verb]]:
    """Return what can be asked of one modality, and likewise of any."""
    verbs = [(f"embed_{which}", Verb(lambda x, mask: {"embedding": scores.embedding(model.posterior(x, mask=mask))}, given))]
    if to:
        gives = tuple(model.modalities[n] for n in to)
        translate = Verb(lambda x, mask: model.translate(x, to, mask), given, (), gives)
        sample = Verb(lambda x, mask, seed: model.translate(x, to, mask, seed), given, (SEED,), gives)
        verbs += [(f"translate_{which}", translate), (f"sample_from_{which}", sample)]
    if model.has_likelihood():
        score = Verb(lambda x, mask, n, seed: scores.log_likelihoods(model, x, mask, n, seed), given, (N, SEED))
        verbs.append((f"score_{which}", score))
    return verbs


def encoder(model, name: str):
    """`(values, mask)` -> what is said of the modality alone: moments of q(c|x) and, if there is one, of q(s|x)."""

    def encode(values, _):
        codes = model.encode(values)
        moments = _moments(codes.shared[name], "shared_")
        return moments | (_moments(codes.private[name], "private_") if name in codes.private else {})

    return encode


def _decode(model) -> Verb:
    sizes = {SHARED: model.shared_dim}
    sizes |= {PRIVATE.format(m.name): m.private_dim for m in model.modalities.values() if m.private_dim}

    def decode(*_, **codes):
        assertions = [checks.one_size(codes), *(checks.finite(n, x) for n, x in codes.items())]
        codes = checks.after(assertions, codes)
        private = {n: codes[PRIVATE.format(n)] for n in model.names if PRIVATE.format(n) in codes}
        return {n: shown_value(model.modalities[n], p) for n, p in model.decode(codes[SHARED], private).items()}

    codes = tuple(tf.TensorSpec([None, d], name=n) for n, d in sizes.items())
    return Verb(decode, NOTHING, codes, tuple(model.modalities.values()))


def _compare(model) -> Verb:
    def compare(*_, **given):
        halves = {n: tf.split(x, 2, axis=-1) for n, x in given.items()}
        assertions = [checks.finite(n, mean) for n, (mean, _) in halves.items()]
        assertions += [checks.positive(n, stddev) for n, (_, stddev) in halves.items()]
        given = checks.after(assertions, given)
        return {"score": scores.compared(given[QUERIES], given[CANDIDATES])}

    specs = tuple(tf.TensorSpec([None, 2 * model.shared_dim], name=n) for n in (QUERIES, CANDIDATES))
    return Verb(compare, NOTHING, specs)


def _wants_raw(verb: Verb) -> bool:
    return any(map(has_raw, [*verb.takes.modalities, *verb.gives]))


def _raw(plain: Concrete, verb: Verb, fills: Mapping[str, str]) -> Concrete:
    """A signature around the plain one, whose graph it shares."""
    form = RawForm(verb.takes, verb.gives, fills)
    return _function(lambda **given: form.write(plain(**form.read(given))), [*form.specs(), *verb.further])


def _function(function: Callable[..., Mapping[str, tf.Tensor]], specs: list[tf.TensorSpec]) -> Concrete:
    """A concrete function whose inputs have the names of their specs."""
    return tf.function(function, autograph=False).get_concrete_function(**{spec.name: spec for spec in specs})


def _moments(q, prefix: str = "") -> dict[str, tf.Tensor]:
    return {f"{prefix}mean": q.mean(), f"{prefix}stddev": q.stddev()}


def _check_apart(names: list[str]) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UserError(f"A served model would have two things called {twice!r}; give the modalities other names.")
