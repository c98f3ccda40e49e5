"""Flag files: a path, or the name of one that the package brings, such as `digits/mmjsd.cfg`."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from mmtf.errors import UserError

FLAG = "flagfile"


def folder() -> Path:
    """Return the folder of the flag files that the package brings: inside it where it is installed, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def names() -> list[str]:
    """Return the names of the flag files that the package brings, such as `digits/mmjsd.cfg`."""
    return sorted(path.relative_to(folder()).as_posix() for path in folder().rglob("*.cfg"))


def find(name: str | Path) -> Path:
    """Return the flag file of a path, or else the one of that name that the package brings.

    Raises:
      UserError: there is neither; the nearest names are offered.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return path
    packaged = Path(name).as_posix().removeprefix("configs/")
    if packaged in names():
        return folder() / packaged
    stems = {Path(each).name: each for each in names()}
    near = [*difflib.get_close_matches(packaged, names()), *map(stems.get, difflib.get_close_matches(path.name, stems))]
    hint = f" Did you mean {' or '.join(dict.fromkeys(near[:3]))}?" if near else " `mmtf list` shows them."
    raise UserError(f"--{FLAG}={name} is neither a file nor one of the flag files that mmtf brings.{hint}")


def expanded(arguments: Sequence[str], within: tuple[Path, ...] = ()) -> list[str]:
    """Return arguments with the lines of each flag file in its place, so that a later flag overrides an earlier one.

    Args:
      within: the files that these arguments stand in, the outermost first.

    Raises:
      UserError: a flag file that is not there, cannot be read, or contains itself.
    """
    flat, rest = [], list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "--":
            return [*flat, argument, *rest]
        flag, equals, name = argument.partition("=")
        if flag.lstrip("-") != FLAG or not flag.startswith("-"):
            flat.append(argument)
            continue
        if not equals:
            if not rest:
                raise UserError(f"--{FLAG} wants a file, as in --{FLAG}=digits/mmjsd.cfg.")
            name = rest.pop(0)
        flat += _lines(find(name.strip("\"'")), within)
    return flat


def _lines(path: Path, within: tuple[Path, ...]) -> list[str]:
    if path.resolve() in within:
        raise UserError(f"The flag file {path} contains itself, by {' and '.join(map(str, within))}.")
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"Cannot read the flag file {path}: {getattr(error, 'strerror', None) or 'it is no text'}.") from error
    flags = [line for line in lines if line and not line.startswith(("#", "//"))]
    for line in flags:
        if not line.startswith("-"):
            raise UserError(f"{path}: {line!r} is not a flag; flags start with --, as in --steps=20.")
    return expanded(flags, (*within, path.resolve()))


def value_of(flag: str, arguments: Sequence[str]) -> str | None:
    """Return the last value that arguments give a flag of one word, before flags are parsed; None where they do not."""
    last = None
    for place, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name in (f"-{flag}", f"--{flag}"):
            last = value if equals else next(iter(arguments[place + 1 :]), "")
    return last
