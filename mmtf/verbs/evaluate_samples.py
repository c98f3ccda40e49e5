"""The second verb without a model: from a folder of samples, made by any program, to metrics.json."""

from __future__ import annotations

import dataclasses
import functools
import logging
from pathlib import Path

from mmtf import evaluation, registry
from mmtf.config import Config, DataConfig, EvaluateConfig
from mmtf.data import cache
from mmtf.data import samples as sample_files
from mmtf.data.dataset import MultimodalData
from mmtf.data.samples import Samples
from mmtf.errors import UserError
from mmtf.evaluation import parts
from mmtf.runs import RunDirectory
from mmtf.runs.measured import Measured, fingerprint
from mmtf.runs.paths import of_user
from mmtf.verbs.evaluate import PLACES

log = logging.getLogger(__name__)

# What stands for the model in metrics.json.
MODEL = "samples"
# Options that say how codes and likelihoods are measured, which samples do not have.
OF_MODELS = (
    "likelihood_samples",
    "likelihood_samples_many",
    "likelihood_examples_many",
    "retrieval_candidates",
    "retrieval_likelihood_candidates",
)
# Of the data, what no number depends on.
DATA_PLACES = ("data_dir", "features_dir", "download")


def evaluate_samples(
    folder: str | Path,
    which: DataConfig | None = None,
    config: EvaluateConfig | None = None,
    *,
    data: MultimodalData | None = None,
    output: str | Path | None = None,
    again: bool = False,
) -> dict:
    """Evaluate samples by the real values of a data set's test split, and write metrics.json.

    An evaluation that was stopped, or that was asked for other parts, goes on; of other samples, of other data or with other
    settings, the old file is kept under another name.

    Args:
      folder: `random/NAME.npy` and `from_A,B/NAME.npy`, as in `mmtf.data.samples`.
      which: the data set that they are samples of.
      data: the data set itself, where it is not loaded from the config.
      output: where metrics.json goes; by default the folder of the samples.
      again: measure what is there already once more.

    Returns:
      The content of metrics.json; `docs/samples.md` says which entries there are.

    Raises:
      UserError: before any long work: samples that are not there or do not fit the data set, labels by which nothing can be
        scored, options that do nothing here.
    """
    folder, config = of_user(folder), config or EvaluateConfig()
    if config.plugin:
        raise UserError("--plugin does nothing for --samples: metrics of a plugin are measured of models. Remove it.")
    which = which or (DataConfig() if data is None else DataConfig(data.name))
    chosen, place = _checked(which, config), RunDirectory(of_user(output or folder))
    sample_files.check_folder(folder)
    _check_output(place)
    data = registry.load_data(which) if data is None else data
    context = _Context(sample_files.load(folder, data), data, which, config)
    evaluation.check_external_labels(context.samples, data, context.test)
    context.check_measurable()
    log.info("Evaluating samples in %s by %d test examples of %s.", folder, len(context.test), data.name)
    measured = Measured(place, context.about(), context.fingerprint(), again=chosen if again else ())
    measures = parts.of_samples()
    for name in chosen:
        measured.part(name, functools.partial(measures[name], context))
    metrics = measured.content()
    place.write_json("metrics.json", metrics)
    return metrics


class _Context(evaluation.EvaluationContext):
    """What every part measures, and what several of them need."""

    def __init__(self, samples: Samples, data: MultimodalData, which: DataConfig, config: EvaluateConfig):
        super().__init__(data, config, {m.name: m for m in data.modalities})
        self.which, self.samples = which, samples.within(self.test)

    def check_measurable(self) -> None:
        if not self.labelled and not self.features_by({}).sources:
            raise UserError(
                f"{self.data.name} has no labels to train classifiers by, and none of its modalities is a vector of numbers: "
                "there is nothing in which samples could be compared. Add labels."
            )

    def about(self) -> dict:
        """Return entries that identify what is evaluated."""
        rows = {"random": len(next(iter(self.samples.random.values())))} if self.samples.random else {}
        rows |= {key: len(x) for key, x in evaluation.conditional_sets(self.samples, self.data.names).items()}
        how = {"test_examples": len(self.test), "samples": self._digest(), "data": dataclasses.asdict(self.which)}
        return {
            "model": MODEL,
            "dataset": self.data.name,
            "protocol": self.config.protocol,
            "seed": self.config.evaluation_seed,
            "samples": rows,
            "data": {
                "sources": dict(self.data.sources),
                "training_examples": len(self.data.train),
                "test_examples": len(self.data.test),
            },
            "evaluation": dataclasses.asdict(self.config) | how,
        }

    def fingerprint(self) -> str:
        """Of the samples, the settings and the data set."""
        how = {k: v for k, v in dataclasses.asdict(self.config).items() if k not in PLACES}
        which = {k: v for k, v in dataclasses.asdict(self.which).items() if k not in DATA_PLACES}
        splits = (self.data.train, self.data.test)
        pools = [cache.digest(pool) for split in splits for pool in split.pools.values()]
        rows = [part for split in splits for part in (*split.rows.values(), *(split.mask or {}).values())]
        labels = [split.label for split in splits if split.label is not None]
        return fingerprint(self._digest(), how, which, list(self.data.names), pools, *rows, *labels)

    def _digest(self) -> str:
        """Return a digest of the samples that are evaluated, by name."""
        given = [[",".join(k), list(values)] for k, values in self.samples.given.items()]
        arrays = [*self.samples.random.values(), *(x for values in self.samples.given.values() for x in values.values())]
        return fingerprint([list(self.samples.random), given], *arrays)


def _checked(which: DataConfig, config: EvaluateConfig) -> list[str]:
    """Return the names of the parts that are asked for."""
    # Refuses options of other data sets.
    registry.check_names(Config(data=which))
    for field in dataclasses.fields(config):
        if field.name in OF_MODELS and getattr(config, field.name) != field.default:
            raise UserError(f"--{field.name} does nothing for --samples, which have no codes and no likelihoods. Remove it.")
    return parts.chosen(config, parts.of_samples())


def _check_output(place: RunDirectory) -> None:
    if (place.path / "config.json").exists():
        raise UserError(f"{place.path} is a run of mmtf train, whose metrics.json is its own; name another folder in --output.")
    try:
        place.check_writable()
    except UserError as error:
        raise UserError(f"Cannot write to {place.path}; name another folder in --output.") from error
