"""The tables of names: what `--model` and `--dataset` can be, where each of them is, and which options it has."""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import re
import sys
from collections.abc import Callable, Mapping

from mmtf.config import declared
from mmtf.errors import UserError


class NameTable(dict):
    """Names, each with where the thing of that name is: `module:object`.

    Its options are the class `Options` of the same module, which is read without importing the module (see `declared`).
    """

    def __init__(self, kind: str, rows: Mapping[str, str]):
        """Args: kind: the flag by which one is chosen, such as "model"."""
        super().__init__(rows)
        self.kind = kind
        self._given: dict[str, type] = {}

    def add(self, name: str, thing: type) -> None:
        """Add a class that is imported already, with its own `Options`."""
        self[name] = f"{thing.__module__}:{thing.__qualname__}"
        self._given[name] = thing

    def row(self, name: str) -> str:
        """Return where the thing of a name is. Raises UserError, with the nearest name, where there is none."""
        if not isinstance(name, str):
            raise UserError(f"{self.kind} must be of type str, not {name!r}.")
        if name in self:
            return self[name]
        near = difflib.get_close_matches(name, self, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UserError(f"Unknown --{self.kind}={name!r}; there are: {', '.join(sorted(self))}.{hint}")

    def load(self, name: str):
        """Return the thing itself, whose module is imported. Raises UserError for an unknown name."""
        module, _, attribute = self.row(name).partition(":")
        return self._given.get(name) or getattr(importlib.import_module(module), attribute)

    def options_of(self, name: str) -> type:
        """Return the dataclass of the options. Raises UserError for an unknown name."""
        row = self.row(name)
        return self._given[name].Options if name in self._given else declared.read(row.partition(":")[0], "Options")

    def summary(self, name: str) -> str:
        """Return what a thing is in a sentence: the first line of its module, which is not imported for it."""
        module = self.row(name).partition(":")[0]
        text = (sys.modules[module].__doc__ if module in sys.modules else declared.docstring(module)) or ""
        first, _, rest = text.strip().partition("\n")
        # A module that cites a paper by a letter says below whose it is.
        for letter, authors in re.findall(r"\[([SC])\]: (.+?)\.", rest):
            first = first.replace(f"[{letter}]", f"[{authors}]")
        return first

    def where(self, true_of: Callable[[type], bool]) -> list[str]:
        """Return the names of those whose options satisfy a condition."""
        return [name for name in self if true_of(self.options_of(name))]

    def all_options(self) -> dict[str, dataclasses.Field]:
        """Return the options of all, by name; one that several have stands once."""
        fields: dict[str, dataclasses.Field] = {}
        for name in self:
            for field in dataclasses.fields(self.options_of(name)):
                fields.setdefault(field.name, field)
        return fields

    def own(self, values: Mapping) -> dict:
        """Return those of the values that are options of the one that is chosen in them.

        Raises:
          UserError: an unknown name, or an option of another one with a value other than its default, which would do nothing.
        """
        name = values[self.kind]
        own, every = {field.name for field in dataclasses.fields(self.options_of(name))}, self.all_options()
        for option in values:
            if option not in own and option in every and values[option] != every[option].default:
                raise self._does_nothing(option, name)
        return {option: value for option, value in values.items() if option in own}

    def chosen(self, base: type, values: tuple, options: Mapping) -> type:
        """Return the class that a call of the base class of all options makes an instance of.

        Args:
          values, options: what the base class was called with; the name is the first value.

        Raises:
          UserError: an unknown name, or an option that only others have.
        """
        name = values[0] if values else options.get(self.kind, getattr(base, self.kind))
        options_class = self.options_of(name)
        own, every = {field.name for field in dataclasses.fields(options_class)}, self.all_options()
        for option in options:
            if option not in own and option in every:
                raise self._does_nothing(option, name)
        return options_class

    def check(self, options) -> None:
        """Raise UserError where options are of another class than that of the name in them."""
        name = getattr(options, self.kind)
        if name in self and self.options_of(name) is not type(options):
            base = f"{self.kind.capitalize().replace('Dataset', 'Data')}Config"
            raise UserError(f"These are options of another {self.kind} than {name}; make them anew: {base}({name!r}, ...).")

    def _does_nothing(self, option: str, name: str) -> UserError:
        users = self.where(lambda cls: any(field.name == option for field in dataclasses.fields(cls)))
        return UserError(f"--{option} does nothing for --{self.kind}={name}; it belongs to {', '.join(users)}. Remove it.")


MODELS = NameTable(
    "model",
    {
        "mmjsd": "mmtf.models.vae.mmjsd:MMJSD",
        "mmvae": "mmtf.models.vae.mmvae:MMVAE",
        "mvae": "mmtf.models.vae.mvae:MVAE",
        "mopoe": "mmtf.models.vae.mopoe:MoPoE",
        "jmvae": "mmtf.models.vae.jmvae:JMVAE",
        "mvtcae": "mmtf.models.vae.mvtcae:MVTCAE",
        "mmvae_iw": "mmtf.models.vae.mmvae_iw:ImportanceMMVAE",
        "mmvae_plus": "mmtf.models.vae.mmvae_plus:MMVAEPlus",
        "mmali": "mmtf.models.gan.mmali:MMALI",
        "mmali_joint": "mmtf.models.gan.mmali_joint:JointMMALI",
    },
)

DATASETS = NameTable(
    "dataset",
    {
        "digits": "mmtf.data.digits:DIGITS",
        "mnist_svhn_text": "mmtf.data.mnist_svhn:MNIST_SVHN_TEXT",
        "mnist_svhn": "mmtf.data.mnist_svhn:MNIST_SVHN",
        "multimnist": "mmtf.data.multimnist:MULTIMNIST",
        "celeba": "mmtf.data.celeba:CELEBA",
        "cub": "mmtf.data.cub:CUB",
        "arrays": "mmtf.data.arrays.builders:ARRAYS",
    },
)


def name_of(cls: type) -> str:
    """Return what `--model` calls a class of models; its own name in small letters where the table does not have it."""
    where = f"{cls.__module__}:{cls.__qualname__}"
    return next((name for name, row in MODELS.items() if row == where), cls.__name__.lower())
