"""How options are declared: fields of frozen dataclasses that carry their default, their limits and the help of their flag.

`option` declares a field, `define_flags` makes the absl flags of a dataclass.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Collection, Sequence

from absl import flags

from mmtf.errors import UserError
from mmtf.modality import plain


def option(default, help: str, *, choices=None, low=None, above=None, high=None, may_change=False, former=None):
    """A field with its flag's help and its limits.

    Args:
      choices: the values allowed. low, high: inclusive limits. above: an exclusive lower limit.
      may_change: whether a resumed run may give another value.
      former: of an option that is younger than what it changes: its value in runs whose config.json lacks it.
    """
    metadata = {"help": help, "choices": choices, "low": low, "above": above, "high": high}
    return dataclasses.field(default=default, metadata=metadata | {"may_change": may_change, "former": former})


def define_flags(
    concerns: Sequence[type], flag_values: flags.FlagValues = flags.FLAGS, *, leave_out: Collection[str] = ()
) -> list[str]:
    """Make one absl flag per field of each dataclass, but for those left out; return their names."""
    fields = [field for concern in concerns for field in dataclasses.fields(concern) if field.name not in leave_out]
    return define_fields(fields, flag_values)


def define_fields(fields: Sequence[dataclasses.Field], flag_values: flags.FlagValues) -> list[str]:
    """Make one absl flag per field; return their names."""
    for field in fields:
        _define_flag(field, _plain_type(_hint(field)), flag_values)
    return [field.name for field in fields]


def _hint(field: dataclasses.Field):
    """Return a field's type, which is a string where a module postpones the evaluation of annotations."""
    return eval(field.type) if isinstance(field.type, str) else field.type


def check_limits(concern) -> None:
    """Raise UserError for the first field of a dataclass that is out of its declared limits.

    A number of NumPy becomes one of Python, and a path its text: JSON keeps no others.
    """
    for field in dataclasses.fields(concern):
        value = plain(getattr(concern, field.name))
        object.__setattr__(concern, field.name, value)
        _check_type(field, value, _plain_type(_hint(field)))
        _check_value(field, value)


def _plain_type(hint) -> type:
    """`float` of `float | None`."""
    if isinstance(hint, types.UnionType):
        return next(t for t in typing.get_args(hint) if t is not type(None))
    return hint


def _define_flag(field: dataclasses.Field, kind: type, flag_values: flags.FlagValues) -> None:
    help = field.metadata["help"]
    if field.metadata["choices"]:
        flags.DEFINE_enum(field.name, field.default, field.metadata["choices"], help, flag_values=flag_values)
    else:
        define = {
            int: flags.DEFINE_integer,
            float: flags.DEFINE_float,
            str: flags.DEFINE_string,
            bool: flags.DEFINE_bool,
        }[kind]
        define(field.name, field.default, help, flag_values=flag_values)


def _check_type(field: dataclasses.Field, value, kind: type) -> None:
    accepted = (int, float) if kind is float else (kind,)
    if value is not field.default and (isinstance(value, bool) != (kind is bool) or not isinstance(value, accepted)):
        raise UserError(f"{field.name} must be of type {kind.__name__}, not {value!r}.")


def _check_value(field: dataclasses.Field, value) -> None:
    limits = field.metadata
    if value is None:
        return
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"--{field.name} must be a finite number, not {value}.")
    if limits["choices"] and value not in limits["choices"]:
        raise UserError(f"--{field.name} must be one of {', '.join(limits['choices'])}, not {value!r}.")
    if limits["low"] is not None and value < limits["low"]:
        raise UserError(f"--{field.name} must be at least {limits['low']}, not {value}.")
    if limits["above"] is not None and value <= limits["above"]:
        raise UserError(f"--{field.name} must be greater than {limits['above']}, not {value}.")
    if limits["high"] is not None and value > limits["high"]:
        raise UserError(f"--{field.name} must be at most {limits['high']}, not {value}.")
