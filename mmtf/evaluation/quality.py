"""Quality of samples: precision and recall, and Frechet distance, of their distribution against real values.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from sklearn.decomposition import PCA

from mmtf import progress
from mmtf.config import EvaluateConfig
from mmtf.data.dataset import MultimodalData, Split
from mmtf.evaluation.batches import rounded
from mmtf.evaluation.features import Features
from mmtf.evaluation.generation import Generated
from mmtf.metrics import frechet, prd
from mmtf.metrics.specs import ARROW
from mmtf.modality import subset_key

log = logging.getLogger(__name__)

RANDOM, REAL = "random", "real"
# Dimensions in which samples are clustered: of wider features the leading ones, since the time of k-means grows with them.
COMPONENTS = 128
Set = tuple[str, np.ndarray]  # where samples of a modality come from, and their features
SHOWN_AFTER = 10.0  # seconds of work before there is a progress bar


def sample_quality(
    model,
    data: MultimodalData,
    test: Split,
    features: Features,
    config: EvaluateConfig,
    generated: Generated | None = None,
) -> tuple[dict[str, dict], dict[str, prd.PRD]]:
    """`compared` of what a model generates: from the priors, and of each modality from one other and from all others."""
    generated = generated or Generated(model, test, config, features=features)
    return compared(lambda name: _samples(model.names, name, generated), model.names, data, test, features, config)


def compared(
    sets: Callable[[str], Iterable[Set]],
    names: Iterable[str],
    data: MultimodalData,
    test: Split,
    features: Features,
    config: EvaluateConfig,
) -> tuple[dict[str, dict], dict[str, prd.PRD]]:
    """`prd`, `frechet` and `features` of docs/metrics.md, and the curves by modality and place, for a picture.

    Each is told by modality and by where its samples come from: `random` from the priors, `Y<-K` from other modalities, and
    `real` for training values, which is what samples that are the data come to.

    Args:
      sets: of a modality, the features of its sets of samples, one at a time.
      names: of the modalities that have any.
    """
    measured, curves, few = {"prd": {}, "frechet": {}, "features": dict(features.sources)}, {}, []
    names = [n for n in names if n in features and _enough(test, n)]
    with progress.bar(None, "sample quality", "set", delay=SHOWN_AFTER) as bar:
        for name in names:
            real = features.of_examples(name, _examples(test, name, config.quality_samples))
            training = _examples(data.train, name, config.quality_samples, config.evaluation_seed)
            trained = features.of_examples(name, training)
            leading = _leading(trained)
            gaussian = frechet.fitted(real.astype(np.float64)) if len(real) > real.shape[1] else None
            for place, generated in itertools.chain([(REAL, trained)], sets(name)):
                bar.update(1)
                if len(generated) < prd.CLUSTERS:
                    few.append(f"{name} {place}")
                    continue
                curve = prd.prd_curve(leading(real), leading(generated), seed=config.evaluation_seed)
                curves[f"{name} {place}"] = curve
                measured["prd"].setdefault(name, {})[place] = _of_curve(curve)
                if gaussian and len(generated) > generated.shape[1]:
                    measured["frechet"].setdefault(name, {})[place] = _frechet(gaussian, generated)
        if few:
            log.warning("No sample quality of %s: fewer examples than %d clusters.", "; ".join(few), prd.CLUSTERS)
        short = [n for n in names if n not in measured["frechet"]]
        if short:
            log.warning("No Frechet distance of %s: fewer test examples or samples than features.", ", ".join(short))
    return {kind: part for kind, part in measured.items() if part and names}, curves


def _leading(training: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return what takes features `[N, F]` to the leading principal components of training values' ones.

    Narrow ones are left alone.
    """
    if min(training.shape) <= COMPONENTS:
        return lambda features: features
    return PCA(COMPONENTS, random_state=0).fit(training).transform


def _frechet(real: frechet.Fitted, generated: np.ndarray) -> float:
    return rounded(frechet.distance(real, frechet.fitted(generated.astype(np.float64))))


def _of_curve(curve: prd.PRD) -> dict[str, float]:
    """A curve in numbers; `mean_of_curves` is what the release of [S] calls PRD."""
    return {
        "area": rounded(prd.area(curve)),
        "f_8": rounded(prd.f_score(curve, prd.BETA)),
        "f_1/8": rounded(prd.f_score(curve, 1.0 / prd.BETA)),
        "mean_of_curves": rounded(prd.mean_of_curves(curve)),
    }


def _samples(names: tuple[str, ...], name: str, generated: Generated) -> Iterator[Set]:
    """Features of sets of generated values of a modality by where they come from, a set at a time."""
    yield RANDOM, generated.random_features(name)
    others = tuple(n for n in names if n != name)
    for subset in dict.fromkeys([(n,) for n in others] + [others]):
        translated = generated.given(subset, name) if subset else None
        if translated and len(translated.examples):
            yield f"{name}{ARROW}{subset_key(subset, names)}", translated.features


def _examples(split: Split, name: str, count: int, seed: int | None = None) -> Split:
    """Return the first examples that have a modality, or random ones under a seed."""
    rows = np.flatnonzero(split.has([name]))
    chosen = rows if seed is None else np.random.default_rng(seed).permutation(rows)
    return split.at(chosen[:count])


def _enough(test: Split, name: str) -> bool:
    count = int(test.has([name]).sum())
    if count < prd.CLUSTERS:
        log.warning("No sample quality of %s: %d test examples are fewer than %d clusters.", name, count, prd.CLUSTERS)
    return count >= prd.CLUSTERS
