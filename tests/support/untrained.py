"""Runs that nobody trained: all that an evaluation reads of one, with fresh weights, and no graph of a training step."""

from mmtf import registry
from mmtf.data import record
from mmtf.runs import RunDirectory
from mmtf.runs.checkpoint import Checkpoints


def run(path, config, data, step=2):
    found = RunDirectory.claim(path, config)
    found.begin(config, registry.configure(data.modalities, config.model), record.files(data))
    found.write_json("training.json", {"steps": step, "seconds": 1.0, "steps_per_second": step / 1.0, "platform": "x"})
    model = registry.build_model(config, found.modalities())
    Checkpoints(found.checkpoints, model.named_weights()).save(step)
    return found
