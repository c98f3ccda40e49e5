"""report.html: everything that a run directory tells, on one page that needs no network and no script.

The page holds its style and its pictures, asks for nothing from elsewhere (its content policy forbids it), and is made from
config.json, training.json, metrics.json and figures/ alone.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import shlex
import statistics
import struct
from collections.abc import Mapping
from pathlib import Path

from mmtf.config import Config
from mmtf.errors import UserError
from mmtf.metrics.entries import METRICS
from mmtf.metrics.specs import ARROW, SECTIONS, STANDARD_ERROR
from mmtf.report import page_numbers
from mmtf.report.page_texts import FIGURES, PAPERS, PROTOCOLS
from mmtf.report.protocols import shown
from mmtf.runs import RunDirectory, write_atomically

PAGE = "report.html"
PNG = b"\x89PNG\r\n\x1a\n"
HEADING = ("model", "dataset", "protocol", "seed", "step", "score")
PROVENANCE = ("training", "data", "evaluation")
SMALLEST = 0.62  # a picture's share of its own size below which its texts cannot be read: then it scrolls
NO_NETWORK = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

# Sections that every page has: anchor and title.
MADE, DRAWN, NOTES = ("made", "How it was made"), ("figures", "Figures"), ("notes", "Protocol and data")


def write(run: RunDirectory) -> Path:
    """Write `report.html` of a run that was evaluated, and return where it is.

    Raises:
      UserError: metrics.json or figures/ is missing or damaged, or the page cannot be written.
    """
    config, metrics = run.config(), run.read_json("metrics.json")
    missing = [key for key in HEADING[:4] if key not in metrics] if isinstance(metrics, Mapping) else HEADING[:4]
    if missing:
        raise UserError(f"{run.path / 'metrics.json'} lacks {', '.join(missing)}; evaluate the run anew with mmtf evaluate.")
    trained = run.read_json("training.json")
    day = datetime.datetime.fromtimestamp((run.path / "training.json").stat().st_mtime, datetime.timezone.utc)
    path = run.path / PAGE
    write_atomically(path, page(config, metrics, trained, _pictures(run), f"{day:%Y-%m-%d}").encode())
    return path


def page(config: Config, metrics: Mapping, trained: Mapping, pictures: Mapping[str, bytes], day: str) -> str:
    """Return the page as HTML.

    Args:
      metrics, trained: the content of metrics.json and of training.json.
      pictures: PNG files by name, without the ending.
      day: on which training ended.
    """
    metrics = shown(metrics)
    title, protocol = f"{metrics['model']} on {metrics['dataset']}", str(metrics["protocol"])
    facts = [f"seed {metrics['seed']}", *([f"step {metrics['step']}"] if "step" in metrics else []), f"trained until {day}"]
    measured = _measured(metrics)
    contents = [MADE, *((anchor, name) for anchor, name, _ in measured), DRAWN, NOTES]
    provenance = {key: metrics[key] for key in PROVENANCE if key in metrics}
    provenance["evaluated"] = {key: metrics[key] for key in HEADING if key in metrics}
    return (
        page_numbers.environment()
        .get_template("page.html.j2")
        .render(
            policy=NO_NETWORK,
            title=title,
            facts=facts,
            tiles=_tiles(metrics),
            contents=contents,
            flags=[*given_flags(config), "--run_dir=RUN"],
            trained=_by_name({"training.json": trained}),
            measured=measured,
            figures=_figures(pictures),
            protocol=protocol,
            protocol_meaning=PROTOCOLS.get(protocol, ""),
            provenance=_by_name(provenance),
            papers=PAPERS,
        )
    )


def given_flags(config: Config) -> list[str]:
    """Return the flags of mmtf train that differ from their defaults, as they are written in a shell."""
    given = []
    for concern in (config.data, config.model, config.train):
        for field in dataclasses.fields(concern):
            value = getattr(concern, field.name)
            if value != field.default:
                flag = ("" if value else "no") + field.name if isinstance(value, bool) else f"{field.name}={value}"
                given.append(shlex.quote(f"--{flag}"))
    return given


def _pictures(run: RunDirectory) -> dict[str, bytes]:
    if not run.figures.is_dir():
        raise UserError(f"{run.path} has no figures/; evaluate the run with mmtf evaluate --run_dir={run.path}.")
    pictures = {}
    for path in sorted(run.figures.glob("*.png")):
        try:
            pictures[path.stem] = path.read_bytes()
        except OSError as error:
            raise UserError(f"Cannot read {path}: {error.strerror}.") from error
        if not pictures[path.stem].startswith(PNG) or len(pictures[path.stem]) < 24:
            raise UserError(f"{path} is no PNG file; remove it, or evaluate the run anew with mmtf evaluate.")
    return pictures


def _tiles(metrics: Mapping) -> list[tuple[str, float]]:
    """A few numbers at a glance."""
    probe, coherence = metrics.get("probe", {}), metrics.get("coherence", {})
    tiles = []
    if probe:
        most = max(probe, key=lambda key: key.count(","))
        tiles.append(("Linear probe, all modalities" if "," in most else "Linear probe", probe[most]))
    cross = [x for key, x in coherence.items() if ARROW in key and key.split(ARROW)[0] not in key.split(ARROW)[1].split(",")]
    if cross and all(isinstance(x, float) for x in cross):
        tiles.append(("Coherence of what was not given, mean", statistics.fmean(cross)))
    if "random" in coherence:
        tiles.append(("Coherence of random samples", coherence["random"]))
    if "loss" in metrics.get("test_terms", {}):
        tiles.append(("Loss on test data", metrics["test_terms"]["loss"]))
    if "seconds" in metrics.get("training", {}):
        tiles.append(("Seconds of training", metrics["training"]["seconds"]))
    return tiles


def _measured(metrics: Mapping) -> list[tuple[str, str, list[dict]]]:
    """Return every entry of metrics.json that is not in the heading or among the notes, in sections of one kind."""
    by_section: dict[str, dict] = {}
    for key, value in metrics.items():
        if key not in (*HEADING, *PROVENANCE):
            by_section.setdefault(_section_of(key), {})[key] = value
    score = metrics.get("score", "accuracy")
    footers = metrics.get(f"classifier_{score}", {})
    return [
        (anchor, title, _entries(by_section[anchor], footers if anchor == "coherence" else {}, score))
        for anchor, title in SECTIONS.items()
        if anchor in by_section
    ]


def _section_of(key: str) -> str:
    spec = METRICS.of(key)
    return "other" if spec is None or spec.section is None else spec.section


def _entries(entries: Mapping, footers: Mapping, score: str) -> list[dict]:
    """Return each table with the names of what it shows, and what these mean."""
    parts = []
    for names, blocks in page_numbers.entries_tables(entries, footers):
        beside = [name for name in names if name.endswith(STANDARD_ERROR) and name.removesuffix(STANDARD_ERROR) in names]
        keys = [(name, METRICS.get(name)) for name in names if name not in beside]
        meanings = [(name, METRICS.meaning(name, score)) for name, spec in keys if spec is not None]
        parts.append({"shown": keys, "meanings": meanings, "beside": beside, "blocks": blocks})
    return parts


def _by_name(parts: Mapping[str, object]) -> list[dict]:
    """Return each part as a table of names and values, nested names put together."""
    tables = {key: page_numbers.table(("", "value"), [(name, [x]) for name, x in _flat(value)]) for key, value in parts.items()}
    meanings = {key: METRICS[key].meaning if key in METRICS else "" for key in parts}
    return [{"key": key, "meaning": meanings[key], "table": tables[key]} for key in parts]


def _flat(value, outer: str = "") -> list[tuple[str, object]]:
    if not isinstance(value, Mapping):
        return [(outer, value)]
    return [pair for key, x in value.items() for pair in _flat(x, f"{outer} {key}".strip())]


def _figures(pictures: Mapping[str, bytes]) -> list[dict]:
    return [_figure(name, pictures[name]) for name in sorted(pictures, key=lambda name: (_kind_of(name), name))]


def _kind_of(name: str) -> int:
    """Return place in `FIGURES`: that of its own name, or else of the longest beginning that it has."""
    fits = [i for i, (start, _, _) in enumerate(FIGURES) if name == start or (start.endswith("_") and name.startswith(start))]
    return fits[0] if fits else len(FIGURES)


def _words(name: str) -> tuple[str, str]:
    """Return title and caption of a figure; one that is not known has its name alone."""
    kind = _kind_of(name)
    start, title, caption = FIGURES[kind] if kind < len(FIGURES) else (name, name.replace("_", " "), "")
    of = name.removeprefix(start)
    return title.replace("{}", of), caption.replace("{}", of)


def _figure(name: str, png: bytes) -> dict:
    title, caption = _words(name)
    width, height = struct.unpack(">II", png[16:24])
    size = {"width": width, "height": height, "narrowest": round(SMALLEST * width)}
    words = {"name": name, "title": title, "caption": caption, "alt": f"{title}. {caption}".strip()}
    return words | size | {"png": base64.b64encode(png).decode()}
