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
from mmtf.metrics.specs import ARROW, METRICS, SECTIONS, STANDARD_ERROR
from mmtf.report.page_numbers import cell, entries_tables, escape, table
from mmtf.report.page_texts import FIGURES, PAPERS, PROTOCOLS, STYLE
from mmtf.report.protocols import shown
from mmtf.runs import RunDirectory, write_atomically

PAGE = "report.html"
PNG = b"\x89PNG\r\n\x1a\n"
HEADING = ("model", "dataset", "protocol", "seed", "step", "score")
PROVENANCE = ("training", "data", "evaluation")
SMALLEST = 0.62  # a picture's share of its own size below which its texts cannot be read: then it scrolls
NO_NETWORK = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

Section = tuple[str, str, str]  # anchor, title, content


def write(run: RunDirectory) -> Path:
    """Writes `report.html` of a run that mmtf evaluate has evaluated, and returns where it is.

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
    """The page as HTML.

    Args:
      metrics, trained: the content of metrics.json and of training.json.
      pictures: PNG files by name, without the ending.
      day: on which training ended.
    """
    metrics = shown(metrics)
    sections = [
        ("made", "How it was made", _made(config, trained)),
        *_numbers(metrics),
        *_figures(pictures),
        ("notes", "Protocol and data", _notes(metrics)),
    ]
    title = f"{metrics['model']} on {metrics['dataset']}"
    facts = [f"seed {metrics['seed']}", *([f"step {metrics['step']}"] if "step" in metrics else []), f"trained until {day}"]
    contents = "".join(f'<li><a href="#{anchor}">{escape(name)}</a></li>' for anchor, name, _ in sections)
    body = "\n".join(f'<section id="{anchor}"><h2>{escape(name)}</h2>\n{html}</section>' for anchor, name, html in sections)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{NO_NETWORK}">
<title>{escape(title)}</title>
<style>
{STYLE}</style>
</head>
<body>
<header><h1>{escape(title)}</h1>
<p class="facts">{escape(", ".join(map(str, facts)))}</p></header>
{_tiles(metrics)}
<nav aria-label="Contents"><ol>{contents}</ol></nav>
<main>
{body}
</main>
<footer>Made from the run's config.json, training.json, metrics.json and figures/ by mmtf report. A number's full digits
stand in the page's source, as the value of its data element.</footer>
</body>
</html>
"""


def given_flags(config: Config) -> list[str]:
    """The flags of mmtf train that differ from their defaults, as they are written in a shell."""
    found = []
    for concern in (config.data, config.model, config.train):
        for field in dataclasses.fields(concern):
            value = getattr(concern, field.name)
            if value != field.default:
                flag = ("" if value else "no") + field.name if isinstance(value, bool) else f"{field.name}={value}"
                found.append(shlex.quote(f"--{flag}"))
    return found


def _pictures(run: RunDirectory) -> dict[str, bytes]:
    if not run.figures.is_dir():
        raise UserError(f"{run.path} has no figures/; evaluate the run with mmtf evaluate --run_dir={run.path}.")
    found = {}
    for path in sorted(run.figures.glob("*.png")):
        try:
            found[path.stem] = path.read_bytes()
        except OSError as error:
            raise UserError(f"Cannot read {path}: {error.strerror}.") from error
        if not found[path.stem].startswith(PNG) or len(found[path.stem]) < 24:
            raise UserError(f"{path} is no PNG file; remove it, or evaluate the run anew with mmtf evaluate.")
    return found


def _tiles(metrics: Mapping) -> str:
    """A few numbers at a glance."""
    probe, coherence = metrics.get("probe", {}), metrics.get("coherence", {})
    found = []
    if probe:
        most = max(probe, key=lambda key: key.count(","))
        found.append(("Linear probe, all modalities" if "," in most else "Linear probe", probe[most]))
    cross = [x for key, x in coherence.items() if ARROW in key and key.split(ARROW)[0] not in key.split(ARROW)[1].split(",")]
    if cross and all(isinstance(x, float) for x in cross):
        found.append(("Coherence of what was not given, mean", statistics.fmean(cross)))
    if "random" in coherence:
        found.append(("Coherence of random samples", coherence["random"]))
    if "loss" in metrics.get("test_terms", {}):
        found.append(("Loss on test data", metrics["test_terms"]["loss"]))
    if "seconds" in metrics.get("training", {}):
        found.append(("Seconds of training", metrics["training"]["seconds"]))
    tiles = "".join(f"<div><dt>{escape(name)}</dt><dd>{cell(x)}</dd></div>" for name, x in found)
    return f'<dl class="tiles">{tiles}</dl>' if tiles else ""


def _made(config: Config, trained: Mapping) -> str:
    """The command, and what it ran on."""
    # A line ends between flags, and not within one.
    flags = " ".join(f'<span class="flag">{escape(flag)}</span>' for flag in [*given_flags(config), "--run_dir=RUN"])
    return (
        f"<p>Flags that are not named have their defaults.</p><pre><code>mmtf train {flags}\n"
        f"mmtf evaluate --run_dir=RUN</code></pre>\n{_by_name({'training.json': trained})}"
    )


def _numbers(metrics: Mapping) -> list[Section]:
    """Every entry of metrics.json that is not in the heading or among the notes, in sections of one kind."""
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


def _entries(entries: Mapping, footers: Mapping, score: str) -> str:
    """Each table under the names of what it shows, and what these mean."""
    parts = []
    for names, html in entries_tables(entries, footers):
        beside = [name for name in names if name.endswith(STANDARD_ERROR) and name.removesuffix(STANDARD_ERROR) in names]
        shown = [name for name in names if name not in beside]
        parts.append(f"<h3>{', '.join(map(_headed, shown))}</h3>")
        told = {name: METRICS.meaning(name, score) for name in shown if name in METRICS}
        for name, meaning in told.items():
            title = f"<code>{escape(name)}</code>: " if len(shown) > 1 else ""
            parts.append(f'<p class="note meaning">{title}{escape(meaning)}</p>')
        if beside:
            errors = ", ".join(f"<code>{escape(name)}</code>" for name in beside)
            parts.append(f'<p class="note">± is one standard error ({errors}).</p>')
        parts.append(html)
    return "\n".join(parts)


def _headed(key: str) -> str:
    """Return an entry's title, unit and key."""
    spec, code = METRICS.get(key), f"<code>{escape(key)}</code>"
    if spec is None:
        return code
    return f"{escape(spec.title)}{f', {escape(spec.unit)}' if spec.unit else ''} {code}"


def _notes(metrics: Mapping) -> str:
    protocol = str(metrics["protocol"])
    parts = [f"<p>Protocol <b>{escape(protocol)}</b>. {escape(PROTOCOLS.get(protocol, ''))}</p>"]
    parts += [_by_name({key: metrics[key] for key in PROVENANCE if key in metrics})]
    parts.append(_by_name({"evaluated": {key: metrics[key] for key in HEADING if key in metrics}}))
    papers = "".join(f"<li>{escape(paper)}</li>" for paper in PAPERS)
    return "\n".join([*parts, f"<h3>Papers</h3><ul>{papers}</ul>"])


def _by_name(parts: Mapping[str, object]) -> str:
    """Each part as a table of names and values, nested names put together."""
    found = []
    for key, value in parts.items():
        rows = [(name, [x]) for name, x in _flat(value)]
        found.append(f"<h3><code>{escape(key)}</code></h3>")
        found.append(f'<p class="note meaning">{escape(METRICS[key].meaning)}</p>' if key in METRICS else "")
        found.append(table(("", "value"), rows))
    return "\n".join(found)


def _flat(value, outer: str = "") -> list[tuple[str, object]]:
    if not isinstance(value, Mapping):
        return [(outer, value)]
    return [pair for key, x in value.items() for pair in _flat(x, f"{outer} {key}".strip())]


def _figures(pictures: Mapping[str, bytes]) -> list[Section]:
    if not pictures:
        return [("figures", "Figures", "<p>None were drawn.</p>")]
    known = sorted(pictures, key=lambda name: (_kind_of(name), name))
    links = ", ".join(f'<a href="#figure-{escape(name)}">{escape(_words(name)[0])}</a>' for name in known)
    drawn = "\n".join(_figure(name, pictures[name]) for name in known)
    return [("figures", "Figures", f'<nav aria-label="Figures"><p>{links}</p></nav>\n{drawn}')]


def _kind_of(name: str) -> int:
    """Place in `FIGURES`: that of its own name, or else of the longest beginning that it has."""
    fits = [i for i, (start, _, _) in enumerate(FIGURES) if name == start or (start.endswith("_") and name.startswith(start))]
    return fits[0] if fits else len(FIGURES)


def _words(name: str) -> tuple[str, str]:
    """Title and caption of a figure; one that is not known has its name alone."""
    kind = _kind_of(name)
    start, title, caption = FIGURES[kind] if kind < len(FIGURES) else (name, name.replace("_", " "), "")
    of = name.removeprefix(start)
    return title.replace("{}", of), caption.replace("{}", of)


def _figure(name: str, png: bytes) -> str:
    title, caption = _words(name)
    width, height = struct.unpack(">II", png[16:24])
    source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    alt = escape(f"{title}. {caption}".strip())
    return (
        f'<figure id="figure-{escape(name)}"><div class="scroll" tabindex="0"><img src="{source}" alt="{alt}" width="{width}" '
        f'height="{height}" style="min-width: {round(SMALLEST * width)}px" loading="lazy"></div>'
        f"<figcaption><b>{escape(title)}.</b> {escape(caption)}</figcaption></figure>"
    )
