"""Hyper-parameters: frozen dataclasses, their flags and their JSON.

`define_flags` makes the flags of the dataclasses, `from_flags` reads them, and nothing below the command lines reads a flag
again: the config travels as a value and as the JSON of the run directory.
"""

from mmtf.config.declared import declare
from mmtf.config.experiment import (
    OF_A_MACHINE,
    TRAINING,
    Config,
    DataConfig,
    EvaluateConfig,
    ModelConfig,
    TrainConfig,
    check_profile,
    define_flags,
    differences,
    from_flags,
    named_numbers,
    profile_window,
    read_flags,
    shared_flags,
)
from mmtf.config.options import option

__all__ = [
    "OF_A_MACHINE",
    "TRAINING",
    "Config",
    "DataConfig",
    "EvaluateConfig",
    "ModelConfig",
    "TrainConfig",
    "check_profile",
    "declare",
    "define_flags",
    "differences",
    "from_flags",
    "named_numbers",
    "option",
    "profile_window",
    "read_flags",
    "shared_flags",
]
