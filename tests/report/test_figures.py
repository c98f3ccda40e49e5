"""Figures show the very pixels, texts and numbers that they were given."""

import os
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.image import imread
from matplotlib.text import Text

from mmtf.modality import subsets
from mmtf.report import figures
from mmtf.report.canvas import DPI, GAP, MARGIN, TEXT_BACKGROUND, lines

WORDS = ["  zero  ", "one", "two     ", " three", "four", "five", "six", "seven"]
NAMES = ("digit", "scene", "word")


def images(count, size=28, channels=1, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, channels), dtype=np.uint8)


def magnified(image, factor):
    return np.kron(np.broadcast_to(image, (*image.shape[:2], 3)), np.ones((factor, factor, 1), np.uint8))


def position(figure, block):
    """(top, left) of where the pixels of block appear in the figure, exactly; they must do so once."""
    pixels = figures.to_image(figure)
    height, width = block.shape[:2]
    down, right = (pixels.shape[0] - height + 1, pixels.shape[1] - width + 1)
    probes = [(0, 0), (0, width - 1), (height // 2, width // 2), (height - 1, 0), (height - 1, width - 1)]
    equal = [(pixels[y : y + down, x : x + right] == block[y, x]).all(-1) for y, x in probes]
    corners = np.argwhere(np.all(equal, axis=0))
    found = [(int(y), int(x)) for y, x in corners if np.array_equal(pixels[y : y + height, x : x + width], block)]
    assert len(found) == 1, f"the block appears {len(found)} times"
    return found[0]


def texts(figure):
    figures.to_image(figure)  # tick labels come into being when drawn
    return [text.get_text() for text in figure.findobj(Text) if text.get_text().strip()]


def coherence():
    keys = [f"{name}<-{','.join(given)}" for given in subsets(NAMES) for name in NAMES]
    return {"random": 0.5, **{key: i / 40 for i, key in enumerate(keys)}}


PREVALENCE = {"Bald": 0.02, "Smiling": 0.5, "Young": 0.78}


def by_label(shift=0.0):
    """Average precision by given subset and attribute; text knows nothing of being bald."""
    given = ("image", "text", "image,text")
    found = {s: {label: 0.2 + 0.1 * i + 0.01 * k + shift for k, label in enumerate(PREVALENCE)} for i, s in enumerate(given)}
    del found["text"]["Bald"]
    return found


def labelled_bars(axes):
    """(attribute, given subset) -> length of its bar; the rows are named at the first of the axes."""
    rows = [t.get_text() for t in axes.figure.axes[0].get_yticklabels()]
    return {
        (rows[round(bar.get_y() + bar.get_height() / 2)], container.get_label()): bar.get_width()
        for container in axes.containers
        for bar in container
        if np.isfinite(bar.get_width())
    }


KINDS = {
    "samples": lambda: figures.sample_grid(images(23), 5),
    "texts": lambda: figures.sample_grid(["a long caption of a $\\bird_$ with  spaces", "x" * 90, "", " "], 3),
    "examples": lambda: figures.examples_grid({"photograph_of_a_bird": images(8), "w": WORDS}, 4),
    "reconstruction": lambda: figures.reconstruction_grid({"a": images(3), "b": WORDS}, {"a": images(3), "b": WORDS}, 3),
    "cross": lambda: figures.cross_generation_grid("$\\digit$", images(2), {"word": [WORDS[:2], WORDS[2:4]]}),
    "columns": lambda: figures.columns_grid({"a": {"given": WORDS[:2], "same style": images(2)}, "b": {"other": images(2)}}),
    "swap": lambda: figures.swap_grid(WORDS[:3], images(2), [images(3), images(3)]),
    "coherence": lambda: figures.coherence_matrix(coherence(), NAMES),
    "probe": lambda: figures.probe_bars({",".join(s): 1.0 for s in subsets(NAMES)}),
    "labels": lambda: figures.label_bars(
        {"image": by_label(), "text": by_label(0.3)}, PREVALENCE, {n: dict.fromkeys(PREVALENCE, 1.0) for n in ("image", "text")}
    ),
    "forty": lambda: figures.label_bars(
        {"": {s: {f"Wearing_$Necklace_{i}": 0.5 for i in range(40)} for s in ("a", "b", "a,b")}},
        {f"Wearing_$Necklace_{i}": i / 40 for i in range(40)},
    ),
    "curves": lambda: figures.training_curves({f"log_px/modality{i}": (range(9), [10.0**i] * 9) for i in range(7)}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_leaves_the_figure_and_the_file_is_the_image_for_tensorboard(kind, tmp_path):
    """And no title touches another."""
    figure = KINDS[kind]()
    shown = figures.to_image(figure)
    height, width, _ = shown.shape
    box = figure.get_tightbbox()  # of all that is drawn, in inches
    assert min(box.x0, box.y0) * DPI >= -1
    assert box.x1 * DPI <= width + 1
    assert box.y1 * DPI <= height + 1
    # Texts of a grid may touch: the grey dots of the spaces lie over their own text by intention.
    titles = [axes.title for axes in figure.axes] if kind == "curves" else [t for axes in figure.axes for t in axes.texts]
    boxes = [t.get_window_extent() for t in titles if t.get_text() and t.get_fontfamily() != ["DejaVu Sans Mono"]]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    figures.save(figure, tmp_path / "figure.png")
    saved = np.rint(imread(tmp_path / "figure.png") * 255).astype(np.uint8)[..., :3]
    assert shown.dtype == np.uint8
    assert np.array_equal(saved, shown)
    assert os.listdir(tmp_path) == ["figure.png"]


@pytest.mark.parametrize("text", ["one", "  two words ", "seven " * 20])
def test_texts_stay_in_their_own_cell(text):
    figure = figures.sample_grid([text, text], 2)
    pixels = figures.to_image(figure)
    ink = (pixels != 255).all(-1) & (pixels != TEXT_BACKGROUND).any(-1)
    cell = (pixels == TEXT_BACKGROUND).all(-1) | ink
    (between,) = np.nonzero(~cell[MARGIN + 3, MARGIN:-MARGIN])
    assert len(between) >= GAP  # the white gap between the two cells, which no letter crosses
    assert not ink[:, MARGIN + between].any()


@pytest.mark.parametrize(("size", "channels", "factor"), [(8, 1, 12), (28, 1, 3), (32, 3, 3), (64, 3, 2), (150, 3, 1)])
def test_every_pixel_is_a_square_block(size, channels, factor):
    values = images(3, size, channels)
    figure = figures.sample_grid(values, 2)
    (y0, x0), (y1, x1), (y2, x2) = (position(figure, magnified(value, factor)) for value in values)
    assert y0 == y1 < y2  # row by row
    assert x0 == x2 < x1


def test_no_pixel_of_an_image_is_lost_to_the_size_of_a_figure_in_inches():
    # 99 px and two margins of 12 are 123 px, which 123 / 120 * 120 in floating point is not.
    value = images(1, 99)
    assert position(figures.sample_grid(value), magnified(value[0], 1)) == (MARGIN, MARGIN)


def test_floats_are_shares_of_white_and_are_clipped():
    values = images(4).astype(np.float64) / 255
    expected = figures.to_image(figures.sample_grid(images(4)))
    assert np.array_equal(figures.to_image(figures.sample_grid(values)), expected)
    overshooting = np.where(values == 1.0, 1.3, np.where(values == 0.0, -0.2, values)).astype(np.float32)
    assert np.array_equal(figures.to_image(figures.sample_grid(overshooting)), expected)


def test_texts_are_text_with_dots_where_blanks_would_not_be_seen():
    shown = texts(figures.sample_grid(["  zero  ", "$x_1$ a", "one", "a  b c"]))
    assert {"  zero  ", "$x_1$ a", "one", "a  b c"} <= set(shown)
    assert {"··    ··", " ·· · "} <= set(shown)
    assert len(shown) == 6


def test_letters_stand_in_their_own_places_after_leading_spaces():
    def black(text):
        return np.nonzero((figures.to_image(figures.sample_grid([text])).max(-1) < 80).any(axis=0))[0]

    spaced, full = black("   x"), black("xxxx")
    assert spaced.max() == full.max()
    assert spaced.min() - full.min() == 27  # three characters of 9 px


@pytest.mark.parametrize("text", ["", "   ", "one", " two  words ", "a bird " * 30, "y" * 256])
def test_wrapping_keeps_every_character(text):
    wrapped = lines(text)
    assert "".join(wrapped) == text
    assert max(map(len, wrapped)) <= max(12, 2 * len(text) ** 0.5 + 1)


def test_examples_are_rows_and_modalities_columns():
    digit, scene = images(3), images(3, 32, 3, seed=1)
    figure = figures.examples_grid({"digit": digit, "scene": scene, "word": WORDS}, 2)
    places = [[position(figure, magnified(v[i], 3)) for v in (digit, scene)] for i in range(2)]
    assert places[0][0][1] == places[1][0][1] < places[0][1][1]
    assert places[0][0][0] < places[1][0][0]
    assert {"digit", "scene", "word", *WORDS[:2]} <= set(texts(figure))
    assert WORDS[2] not in texts(figure)


def test_reconstructions_stand_beside_their_originals():
    original, decoded = images(2, seed=1), images(2, seed=2)
    figure = figures.reconstruction_grid({"digit": original}, {"digit": decoded}, 2)
    for left, right in zip(original, decoded, strict=True):
        (y, x), (y2, x2) = (position(figure, magnified(value, 3)) for value in (left, right))
        assert y == y2
        assert x < x2
    assert texts(figure) == ["digit", "original", "decoded"]


def test_cross_generation_keeps_samples_in_the_row_of_their_source():
    sources, samples = images(3, seed=1), images(6, 32, 3, seed=2).reshape(3, 2, 32, 32, 3)
    figure = figures.cross_generation_grid("digit", sources, {"scene": samples, "word": [["a"], ["b"], ["c"]]})
    for source, row in zip(sources, samples, strict=True):
        top, left = position(figure, magnified(source, 3))
        places = [position(figure, magnified(sample, 3)) for sample in row]
        assert [y for y, _ in places] == [top - 6] * 2  # 84 px are centred in 96
        assert left < places[0][1] < places[1][1]
    assert {"digit", "scene", "word", "given", "a", "b", "c"} == set(texts(figure))


def test_swap_grid_has_contents_on_top_and_styles_at_the_left():
    contents, styles, decoded = images(3, seed=1), images(2, seed=2), images(6, seed=3).reshape(2, 3, 28, 28, 1)
    figure = figures.swap_grid(contents, styles, decoded)
    tops = [position(figure, magnified(content, 3)) for content in contents]
    lefts = [position(figure, magnified(style, 3)) for style in styles]
    for row, (y, _) in zip(decoded, lefts, strict=True):
        for cell, (_, x) in zip(row, tops, strict=True):
            assert position(figure, magnified(cell, 3)) == (y, x)
    assert max(y for y, _ in tops) < min(y for y, _ in lefts)
    assert max(x for _, x in lefts) < min(x for _, x in tops)


def test_coherence_numbers_stand_in_the_cell_of_subset_and_modality():
    given = coherence()
    axes = figures.coherence_matrix(given, NAMES).axes[0]
    rows, columns = ([t.get_text() for t in labels] for labels in (axes.get_yticklabels(), axes.get_xticklabels()))
    assert rows == [",".join(s) for s in subsets(NAMES)]
    assert columns == list(NAMES)
    heat = axes.images[0].get_array()
    for text in axes.texts:
        x, y = text.get_position()
        share = given[f"{columns[x]}<-{rows[y]}"]
        assert text.get_text() == f"{share:.2f}"
        assert heat[y, x] == share
    assert len(axes.texts) == 21
    assert axes.images[0].get_clim() == (0.0, 1.0)


def test_coherence_matrix_takes_subsets_in_any_order_and_leaves_gaps():
    axes = figures.coherence_matrix({"scene<-word,digit": 0.25, "digit<-scene": 1.0}, NAMES).axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["scene", "digit,word"]
    assert {t.get_position(): t.get_text() for t in axes.texts} == {(0, 0): "1.00", (1, 1): "0.25"}


def test_probe_bars_are_as_long_as_the_accuracies():
    probe = {"digit": 0.25, "digit,word": 1.0, "word": 0.5}
    figure = figures.probe_bars(probe)
    assert [bar.get_width() for bar in figure.axes[0].patches] == list(probe.values())
    assert {"0.250", "1.000", "0.500", *probe} <= set(texts(figure))


def test_probe_bars_say_what_they_measure():
    assert "accuracy of a linear classifier" in texts(figures.probe_bars({"digit": 0.25}))
    assert "average precision of a linear classifier" in texts(figures.probe_bars({"digit": 0.25}, "average precision"))


def test_every_attribute_has_a_bar_for_each_given_subset():
    panels = {"image": by_label(), "text": by_label(0.3)}
    figure = figures.label_bars(panels, PREVALENCE)
    for axes, (name, scores) in zip(figure.axes, panels.items(), strict=True):
        expected = {(label, f"given {given}"): x for given, part in scores.items() for label, x in part.items()}
        assert labelled_bars(axes) == pytest.approx(expected)
        assert axes.get_title() == f"generated {name}"
    assert {"given image", "given text", "given image,text", "Bald", "share of examples that have it"} <= set(texts(figure))
    assert "classifier, on test data" not in texts(figure)


def test_attributes_are_sorted_and_their_prevalence_and_ceiling_are_marked():
    figure = figures.label_bars({"": {"image": {"Bald": 0.3, "Young": 0.9}}}, PREVALENCE, {"": {"Young": 0.95}})
    (axes,) = figure.axes
    figures.to_image(figure)
    assert [t.get_text() for t in axes.get_yticklabels()] == ["Young", "Bald"]
    assert axes.yaxis_inverted()
    shares, ceilings = ([segment[0][0] for segment in marks.get_segments() if len(segment)] for marks in axes.collections)
    assert shares == [0.78, 0.02]
    assert ceilings[0] == 0.95
    assert axes.get_title() == ""


def test_curves_are_the_history_with_gaps_for_what_is_not_finite():
    figure = figures.training_curves({"loss": ([0, 10, 20], [3.0, np.inf, 1.0]), "kl$_$": ([0, 10], [0.5, 0.7])})
    first, second = (axes.lines[0] for axes in figure.axes)
    assert np.array_equal(first.get_xdata(), [0, 10, 20])
    assert np.array_equal(first.get_ydata(), [3.0, np.nan, 1.0], equal_nan=True)
    assert np.array_equal(second.get_ydata(), [0.5, 0.7])
    assert {"loss", "kl$_$", "step"} <= set(texts(figure))


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path, figure = tmp_path / "figure.png", KINDS["samples"]()
    path.write_bytes(b"old")

    def breaks_off(target, **_):
        target.write_bytes(b"half a picture")
        raise OSError("no space left on device")

    monkeypatch.setattr(figure, "savefig", breaks_off)
    with pytest.raises(OSError, match="no space"):
        figures.save(figure, path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["figure.png"]


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_a_saved_figure_has_the_mode_of_any_new_file(tmp_path):
    (tmp_path / "other").touch()
    figures.save(KINDS["texts"](), str(tmp_path / "figure.png"))
    assert (tmp_path / "figure.png").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_neither_tensorflow_nor_pyplot_is_imported_and_no_setting_changes():
    """By what draws, prints and writes pages."""
    code = (
        "import sys, matplotlib; from mmtf.report import curves, figures, latent, page, tables; "
        "before = repr(matplotlib.rcParams.copy()); "
        "figures.to_image(figures.sample_grid(['one'])); figures.to_image(figures.probe_bars({'digit': 0.5})); "
        "assert repr(matplotlib.rcParams.copy()) == before; "
        "assert not {'tensorflow', 'keras', 'matplotlib.pyplot'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: figures.sample_grid([]), "values: wanted images"),
        (lambda: figures.sample_grid(np.zeros((2, 8), np.int32)), r"list of str.*\(2, 8\)"),
        (lambda: figures.sample_grid(np.zeros((2, 8, 8, 2))), r"\(2, 8, 8, 2\)"),
        (lambda: figures.sample_grid(np.zeros((2, 8, 8, 1), np.int64)), "int64"),
        (lambda: figures.sample_grid(np.full((2, 8, 8, 1), 255.0)), "reach 255"),
        (lambda: figures.sample_grid(np.full((2, 8, 8, 1), np.nan)), "reach nan"),
        (lambda: figures.sample_grid(images(2), 0), "columns"),
        (lambda: figures.examples_grid({}), "at least one modality"),
        (lambda: figures.examples_grid({"word": WORDS}, 9), "9 rows were asked for, but word has 8"),
        (lambda: figures.reconstruction_grid({"a": WORDS}, {"b": WORDS}), "Originals are of a"),
        (lambda: figures.cross_generation_grid("a", images(2), {"word": [["x"]]}), "word: wanted samples for 2 rows"),
        (lambda: figures.cross_generation_grid("a", images(2), {"word": [["x"], ["y", "z"]]}), "equally many"),
        (lambda: figures.swap_grid(images(2), images(2), [WORDS[:3]] * 2), "each of 2 contents, but there are 3"),
        (lambda: figures.coherence_matrix({"random": 0.5}, NAMES), "word<-digit"),
        (lambda: figures.coherence_matrix({"word<-digit": 97.0}, NAMES), "0..1"),
        (lambda: figures.coherence_matrix({"word<-image": 0.9}, NAMES), "Unknown modality 'image'"),
        (lambda: figures.probe_bars({}), "accuracies"),
        (lambda: figures.probe_bars({"digit": float("nan")}), "accuracies"),
        (lambda: figures.probe_bars({"digit": 1.5}), "other scores in 0..1"),
        (lambda: figures.label_bars({}, {}), "shares in 0..1"),
        (lambda: figures.label_bars({"": {"a": {"Bald": 1.2}}}, PREVALENCE), "shares in 0..1"),
        (lambda: figures.label_bars({"": {"a": {"Tall": 0.2}}}, PREVALENCE), "prevalence of these attributes is missing: Tall"),
        (lambda: figures.training_curves({}), "empty"),
        (lambda: figures.training_curves({"loss": ([1, 2], [1.0])}), "loss: there are 2 steps, but 1 values"),
        (lambda: figures.save(KINDS["samples"](), "figure.pdf"), "figure.pdf"),
    ],
)
def test_figures_refuse(make, message):
    with pytest.raises(ValueError, match=message):
        make()
