"""The page of a run: no number is lost, nothing is markup that should be text, nothing comes from elsewhere."""

import base64
import collections
import io
import json
import math
import re
import shlex
from html.parser import HTMLParser

import numpy as np
import pytest
from absl import flags
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mmtf import config
from mmtf.config import Config, DataConfig, ModelConfig, TrainConfig
from mmtf.errors import UserError
from mmtf.report import page, page_numbers
from mmtf.runs import RunDirectory

IDENTITY = {"model": "mmjsd", "dataset": "digits", "protocol": "corrected", "seed": 3, "step": 1234}
TRAINED = {"steps": 1234, "seconds": 56.78, "steps_per_second": 21.733, "platform": {"mmtf": "0.1.0", "devices": ["CPU"]}}
VOID = {"meta", "img", "wbr"}
MINUS = "\N{MINUS SIGN}"
NUMBERS = page_numbers.environment().get_template("numbers.html.j2").module
# All that a page is made of.
TAGS = VOID | {"html", "head", "title", "style", "body", "header", "nav", "main", "section", "footer", "details", "summary"}
TAGS |= {"h1", "h2", "h3", "p", "dl", "div", "dt", "dd", "ol", "ul", "li", "a", "b", "pre", "code", "span", "data"}
TAGS |= {"table", "thead", "tbody", "tr", "th", "td", "figure", "figcaption"}


def png(seed, width, height):
    """A PNG file of noise."""
    content = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(content, "png")
    return content.getvalue()


NAMES = ("training", "from_digit", "coherence", "random_big_scene", "new_kind")
PICTURES = {name: png(seed, 240 + 120 * seed, 120) for seed, name in enumerate(NAMES)}


class Parsed(HTMLParser):
    """Tags with their attributes, the numbers in data elements with what is shown of them, and all text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.numbers, self.text, self.open = [], [], "", []
        self.feed(html)
        assert self.open == [], "not every tag was closed"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "data":
            self.numbers.append([dict(attrs)["value"], ""])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if self.open and self.open[-1] == "data":
            self.numbers[-1][1] += text
        self.text += text

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def made(metrics=None, pictures=None, settings=None):
    return Parsed(page.page(settings or Config(), IDENTITY | (metrics or {}), TRAINED, pictures or {}, "2020-02-29"))


def leaves(value):
    if isinstance(value, dict):
        return [x for inner in value.values() for x in leaves(inner)]
    if isinstance(value, list | tuple):
        return [x for inner in value for x in leaves(inner)]
    return [value]


def numbers(value):
    return collections.Counter(repr(x) for x in leaves(value) if isinstance(x, int | float) and not isinstance(x, bool))


MEASURED = {"value": 0.123456, "standard_error": 0.0123, "low": 0.101, "high": 0.145, "samples": 77}
METRICS = {
    "score": "accuracy",
    "probe": {"a": 0.91, "b": 0.82, "a,b": 0.9321},
    "probe_standard_error": {"a": 0.011, "b": 0.0221},
    "probe_one_batch": {"a": 0.7001, "a,b": 0.7112},
    "coherence": {"random": 0.2513, "a<-a": 0.9914, "b<-a": 0.8715, "a<-b": 0.7616, "a<-a,b": 0.55},
    "coherence_standard_error": {"random": 0.0017, "a<-a": 0.0018, "b<-a": 0.0019},
    "coherence_left_out": {"a<-b": ["bald", "young"]},
    "classifier_accuracy": {"a": 0.999, "b": 0.888},
    "likelihood": {"a": MEASURED, "a,b": {"value": -1234.5678, "standard_error": 2.5}},
    "frechet": {"a": {"joint": 12.25, "cross": {"deep": [1.5, 2.5, {"deeper": 3.75}]}}},
    "probe_by_label": {"a": {f"label_{i}": i / 41 for i in range(40)}, "b": {"label_1": 0.4242}},
    "prd": {"value": 0.61},
    "unheard_of": 8.125,
    "empty": {},
    "nothing": None,
    "odd": {"x": True, "y": float("nan"), "z": -0.00001, "words": "some", "mixed": [1, "two", None]},
    "test_terms": {"loss": 1000.03125, "log_likelihood/a": -3.0},
    "training": {"steps": 1234, "seconds": 56.78, "steps_per_second": 21.733},
    "data": {"sources": {"digits": "scans"}, "training_examples": 28000, "test_examples": 1985},
    "evaluation": {"test_examples": 60, "data_dir": ""},
}


def test_every_number_of_every_form_is_on_the_page():
    found = made(METRICS)
    shown = collections.Counter(value for value, _ in found.numbers)
    assert not numbers(METRICS | IDENTITY) - shown
    for name in [*METRICS, "bald", "deeper", "label_39", "some", "two"]:
        assert name in found.text, name


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(st.dictionaries(st.text("abcxyz<-,_& ", min_size=1, max_size=8), ANYTHING, max_size=4))
def test_no_number_is_lost_whatever_the_form(metrics):
    # NUL and lone surrogates are no text that a JSON file in UTF-8 holds.
    metrics = json.loads(json.dumps(metrics).replace("\\u0000", ""))
    shown = collections.Counter(value for value, _ in made(metrics).numbers)
    assert not numbers(metrics) - shown


def test_what_is_shown_is_the_number():
    for value, text in made(METRICS).numbers:
        if math.isnan(float(value)):
            assert text == "not a number"
        else:
            shown = float(text.replace(MINUS, "-"))
            assert shown == pytest.approx(float(value), rel=0.06, abs=0.0006 if abs(float(value)) >= 0.0005 else 0)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((0.98765, "0.988"), (-1234.56, f"{MINUS}1234.6"), (7, "7"), (0.0, "0.000")),
        *((-0.00001, f"{MINUS}1.0e{MINUS}05"), (float("inf"), "infinite"), (float("-inf"), f"{MINUS}infinite")),
    ],
)
def test_numbers_are_rounded_to_be_read_and_kept_whole_beside(value, text):
    ((kept, shown),) = Parsed(NUMBERS.number(value)).numbers
    assert (float(kept), shown) == (value, text)


def drawn(blocks):
    return str(NUMBERS.blocks(blocks))


def rows(html):
    """Every row of every table as its texts."""
    return [
        [re.sub(r"<.*?>", "", cell) for cell in re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row)]
        for row in re.findall(r"<tr>.*?</tr>", html)
    ]


def test_numbers_stand_beside_their_uncertainty():
    html = page.page(Config(), IDENTITY | METRICS, TRAINED, {}, "today")
    table = rows(html)
    assert ["a", "0.991 ± 0.002", "0.872 ± 0.002"] in table  # coherence of a and of b from a
    assert ["a,b", "0.550", page_numbers.ABSENT] in table
    assert ["(real test values)", "0.999", "0.888"] in table
    assert ["a", "0.910 ± 0.011", "0.700"] in table  # probe and probe_one_batch
    assert ["a", "0.123 ± 0.012 [0.101, 0.145] (samples 77)"] in table
    assert "random: 0.251 ± 0.002" in re.sub(r"<.*?>", "", html)
    assert ["label_1", f"{1 / 41:.3f}", "0.424"] in table  # turned over: attributes are rows
    # A list of what was left out has no score of real values below it.
    assert table.count(["(real test values)", "0.999", "0.888"]) == 1
    assert ["b", "bald, young"] in table
    # Numbers of other things are not put side by side with holes between them.
    assert rows("".join(drawn(b) for _, b in page_numbers.entries_tables({"sizes": {"x": 1.5}, "shares": {"y": 2.5}}))) == [
        ["", "sizes"],
        ["x", "1.500"],
        ["", "shares"],
        ["y", "2.500"],
    ]
    # What belongs to no number is not taken for its error.
    assert ["x", "9.000"] in rows(page.page(Config(), IDENTITY | {"size_standard_error": {"x": 9.0}}, TRAINED, {}, "today"))


def test_attributes_are_not_called_classes():
    scored = {"probe": {"a": 0.5}, "coherence": {"b<-a": 0.5}, "label_prevalence": {"bald": 0.02}}
    assert "average precision" in made(scored | {"score": "average_precision"}).text
    assert "whose class" not in made(scored | {"score": "average_precision"}).text
    assert "whose class" in made(scored | {"score": "accuracy"}).text


EVIL = "\"><script>alert('x')</script>&amp;<b onload=x>"


def test_everything_from_outside_is_text():
    metrics = {
        "model": EVIL,
        "dataset": EVIL,
        "protocol": EVIL,
        "score": EVIL,
        EVIL: {EVIL: 1.0, "list": [EVIL]},
        f"coherence{EVIL}": {f"{EVIL}<-{EVIL}": 0.5, EVIL: 0.25},
        f"probe{EVIL}": {EVIL: {EVIL: 0.5}, "b": {EVIL: 1.0}},
        "data": {"sources": {EVIL: EVIL}},
    }
    found = made(metrics, {EVIL: PICTURES["coherence"]}, Config(DataConfig(data_dir=EVIL)))
    assert {tag for tag, _ in found.tags} <= TAGS
    assert not [name for _, attributes in found.tags for name in attributes if name.startswith("on")]
    assert found.text.count(EVIL) >= 12
    assert EVIL in found.all("img")[0]["alt"]


def test_nothing_comes_from_elsewhere_and_no_script_runs():
    source = "downloaded from https://example.org/data.zip"
    found = made(METRICS | {"data": {"sources": {"x": source}}}, PICTURES)
    assert source in found.text  # words are words
    for tag, attributes in found.tags:
        for name in ("src", "href", "action", "srcset", "data", "background", "poster"):
            assert re.match(r"#|data:image/png;base64,|$", attributes.get(name, "")), (tag, attributes)
    (style,) = re.findall(r"<style>(.*?)</style>", page.page(Config(), IDENTITY, TRAINED, {}, ""), re.S)
    assert not re.search(r"url\(|@import|http", style)
    assert "script" not in {tag for tag, _ in found.tags}
    (policy,) = [m["content"] for m in found.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")


def test_every_link_leads_to_a_place():
    found = made(METRICS, PICTURES)
    places = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(places) == len(set(places))
    links = [a["href"] for a in found.all("a")]
    assert len(links) > 8
    assert {link[1:] for link in links} == set(places)
    # Every section and every figure is in the contents.
    assert {"made", "latent", "coherence", "likelihood", "quality", "objective", "other", "figures", "notes"} <= set(places)


def test_pictures_are_the_very_files_with_their_sizes_captions_and_words_for_the_blind():
    found = made(METRICS, PICTURES)
    images = found.all("img")
    held = [base64.b64decode(image["src"].removeprefix("data:image/png;base64,")) for image in images]
    assert sorted(held) == sorted(PICTURES.values())
    by_bytes = {content: name for name, content in PICTURES.items()}
    # Charts first, what is not known last.
    assert [by_bytes[x] for x in held] == ["coherence", "random_big_scene", "from_digit", "training", "new_kind"]
    assert all(len(image["alt"]) > 5 for image in images)
    sizes = {by_bytes[x]: (int(i["width"]), int(i["height"])) for x, i in zip(held, images, strict=True)}
    assert sizes["training"] == (240, 120)
    assert sizes["new_kind"] == (720, 120)
    assert found.text.count("Generated from digit") == 2  # in the contents, and in the caption
    assert "Samples of big_scene from the prior." in found.text


def test_the_command_says_what_differs_from_defaults_and_makes_the_same_config():
    settings = Config(
        DataConfig(data_dir="my data", download=True, pairings=3),
        ModelConfig(beta=2.5, private_dim=4, private_weights="digit=2,word=20", beta_start=0.0, warmup_steps=10),
        TrainConfig(seed=7, steps=20, microbatch=2),
    )
    given = page.given_flags(settings)
    assert "'--data_dir=my data'" in given
    assert "--download" in given
    assert not any("shared_dim" in flag or "epochs" in flag for flag in given)
    values = flags.FlagValues()
    config.define_flags(flag_values=values)
    values(["train.py", *shlex.split(" ".join(given))])
    assert config.from_flags(values) == settings
    assert " ".join(given) in made(settings=settings).text
    assert page.given_flags(Config()) == []


@pytest.fixture
def run(tmp_path):
    """A run as mmtf evaluate leaves it, as far as the page reads it."""
    run = RunDirectory(tmp_path / "run")
    run.write_json("config.json", Config(train=TrainConfig(seed=3)).to_json())
    run.write_json("training.json", TRAINED)
    run.write_json("metrics.json", IDENTITY | METRICS)
    run.figures.mkdir()
    for name, content in PICTURES.items():
        (run.figures / f"{name}.png").write_bytes(content)
    return run


def test_a_page_is_written_from_the_directory_alone(run):
    assert page.write(run) == run.path / "report.html"
    found = Parsed((run.path / "report.html").read_text(encoding="utf-8"))
    assert found.text.count("mmjsd on digits") == 2  # title and heading
    assert re.search(r"seed 3, step 1234, trained until 20\d\d-\d\d-\d\d", found.text)
    assert len(found.all("img")) == len(PICTURES)
    assert not [p for p in run.path.iterdir() if p.name.startswith(".")]


def test_the_old_page_stays_whole_where_the_new_one_cannot_be_written(run, monkeypatch):
    page.write(run)
    before = (run.path / "report.html").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UserError, match=r"Cannot write .*report\.html: No space left"):
        page.write(run)
    assert (run.path / "report.html").read_bytes() == before
    assert not [p for p in run.path.iterdir() if p.name.startswith(".")]


def test_without_pictures_the_page_says_so(run):
    for path in run.figures.iterdir():
        path.unlink()
    page.write(run)
    assert "None were drawn." in Parsed((run.path / "report.html").read_text()).text


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda run: (run.path / "metrics.json").unlink(), r"has no metrics\.json"),
        (lambda run: (run.path / "metrics.json").write_text("{"), r"metrics\.json is damaged"),
        (lambda run: run.write_json("metrics.json", [1]), "lacks model, dataset, protocol, seed; evaluate the run anew"),
        (lambda run: run.write_json("metrics.json", {"model": "x", "seed": 1}), "lacks dataset, protocol; evaluate"),
        (lambda run: (run.path / "training.json").unlink(), r"has no training\.json"),
        (
            lambda run: run.figures.rename(run.path / "elsewhere"),
            r"has no figures/; evaluate the run with mmtf evaluate",
        ),
        (lambda run: (run.figures / "training.png").write_bytes(b"GIF89a"), r"training\.png is no PNG file"),
    ],
)
def test_what_is_missing_or_damaged_is_said(run, spoil, message):
    spoil(run)
    with pytest.raises(UserError, match=message):
        page.write(run)
    assert not (run.path / "report.html").exists()
