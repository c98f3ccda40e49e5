"""Curves show the very numbers of the runs: means and deviations over seeds at each value of the parameter."""

import numpy as np
import pytest

from mmtf.config import Config, DataConfig, ModelConfig, TrainConfig
from mmtf.report import curves, figures


def run(beta, seed=0, shift=0.0, **model):
    """A run whose numbers are functions of beta, of its seed and of the shift."""
    share = 0.1 * np.log10(beta) + 0.01 * seed + 0.5 + shift
    metrics = {
        "model": "mmjsd",
        "probe": {"a": share, "b": share + 0.2, "a,b": 0.9},
        "coherence": {"random": share / 2, "a<-a": 0.0, "b<-a": share, "a<-b": share + 0.1, "b<-a,b": 1.0},
        "test_terms": {"loss": -beta, "log_likelihood/a": -10 * beta, "kl_shared": 1.0},
    }
    return Config(model=ModelConfig(beta=beta, **model), train=TrainConfig(seed=seed)), metrics


def test_lines_are_means_over_subsets_and_seeds():
    found = curves.swept([run(10.0, seed) for seed in (0, 1, 2)] + [run(0.1)], "beta")
    places, means, deviations = found["probe"]["1 given"]
    assert places == [0.1, 10.0]
    # Single modalities: (share + share + 0.2) / 2; seeds 0, 1, 2 add 0, 0.01, 0.02, whose sample deviation is 0.01.
    np.testing.assert_allclose(means, [0.4 + 0.1, 0.6 + 0.1 + 0.01])
    np.testing.assert_allclose(deviations, [np.nan, 0.01])
    np.testing.assert_allclose(found["probe"]["2 given"][1], [0.9, 0.9])
    # Only modalities that were not given count: b<-a and a<-b.
    np.testing.assert_allclose(found["coherence"]["1 given"][1], [0.45, 0.66])
    np.testing.assert_allclose(found["coherence"]["random"][1], [0.2, 0.305])
    assert "2 given" not in found["coherence"]
    np.testing.assert_allclose(found["test_terms/log_likelihood/a"]["a"][1], [-1, -100])
    assert set(found) == {"probe", "coherence", "test_terms/log_likelihood/a"}


def test_measured_likelihoods_take_the_place_of_the_objectives():
    runs = [run(1.0), run(2.0)]
    for i, (_, metrics) in enumerate(runs):
        joint = {"a,b": {"value": -5.0 - i, "standard_error": 0.5, "samples": 12}, "a": {"value": -9.0, "samples": 12}}
        metrics["likelihood"] = {"joint": joint, "marginal": {"a": {"value": -3.0}}}
    found = curves.swept(runs, "beta")
    assert found["log p(X), nats"]["K = 12"][1] == [-5.0, -6.0]
    assert not any(title.startswith("test_terms") for title in found)


def test_areas_under_prd_curves_are_by_modality():
    runs = [run(1.0), run(2.0)]
    for i, (_, metrics) in enumerate(runs):
        areas = {"real": 0.99, "random": 0.1 + i, "a<-b": 0.4, "a<-b,c": 0.6 + i}
        metrics["prd"] = {"a": {place: {"area": x, "f_8": 0.0} for place, x in areas.items()}, "b": {"real": {"area": 0.9}}}
    found = curves.swept(runs, "beta")
    assert found["PRD area, random"] == {"a": ([1.0, 2.0], [0.1, 1.1], [pytest.approx(np.nan, nan_ok=True)] * 2)}
    np.testing.assert_allclose(found["PRD area, conditional"]["a"][1], [0.5, 1.0])


def test_entries_can_be_named():
    found = curves.swept([run(1.0), run(2.0)], "beta", ["test_terms/loss", "test_terms/log_likelihood/a", "probe"])
    assert found["test_terms/loss"]["loss"][:2] == ([1.0, 2.0], [-1.0, -2.0])
    assert found["test_terms/log_likelihood/a"]["a"][1] == [-10.0, -20.0]
    assert set(found) == {"test_terms/loss", "test_terms/log_likelihood/a", "probe"}


def test_the_figure_draws_these_numbers_and_beta_by_factors():
    runs = [run(beta, seed) for beta in (0.5, 5.0) for seed in (0, 1)]
    figure, found = curves.sweep_curves(runs, "beta"), curves.swept(runs, "beta")
    drawn = {a.get_title(): a for a in figure.axes if a.get_title()}
    assert set(drawn) == set(found)
    for title, axes in drawn.items():
        assert axes.get_xscale() == "log"
        for container in axes.containers:
            places, means, deviations = found[title][container.get_label()]
            line, _, (bars,) = container
            np.testing.assert_allclose(line.get_xydata(), np.transpose([places, means]))
            ends = [[m - d, m + d] for m, d in zip(means, deviations, strict=True)]
            np.testing.assert_allclose([segment[:, 1] for segment in bars.get_segments()], ends)
    figures.to_image(figure)


def test_sizes_and_zeros_have_a_plain_axis():
    runs = [run(1.0, private_dim=size, shared_dim=20 - size) for size in (0, 2, 8)]
    assert {a.get_xscale() for a in curves.sweep_curves(runs, "private_dim").axes} == {"linear"}
    runs = [(Config(model=ModelConfig(beta=beta)), run(1.0)[1]) for beta in (0.0, 2.0)]
    assert {a.get_xscale() for a in curves.sweep_curves(runs, "beta").axes} == {"linear"}


@pytest.mark.parametrize(
    ("runs", "parameter", "message"),
    [
        ([], "beta", "there are none"),
        ([run(1.0), run(1.0, 1)], "beta", "All runs have beta=1; give runs with at least two"),
        ([run(1.0), run(2.0), run(2.0)], "beta", "Two runs have beta=2 and seed 0"),
        ([run(1.0), run(2.0)], "betta", "no parameter 'betta'; there are: dataset"),
        ([run(1.0), run(2.0)], "prior_weight", "--prior_weight is None in one of the runs"),
        ([run(1.0), run(2.0)], "dataset", "--dataset is 'digits'"),
        ([run(1.0), run(2.0, shared_dim=9)], "beta", "differ not only in beta: --shared_dim was 20 and is 9"),
        ([run(1.0), (Config(DataConfig(pairings=3), ModelConfig(beta=2.0)), {})], "beta", "--pairings was None and is 3"),
    ],
)
def test_what_makes_no_sweep_is_refused(runs, parameter, message):
    with pytest.raises(ValueError, match=message):
        curves.swept(runs, parameter)


def test_what_was_not_measured_is_said():
    with pytest.raises(ValueError, match="None of frechet was measured in all 2 runs"):
        curves.swept([run(1.0), run(2.0)], "beta", ["frechet"])


def test_precision_and_recall_are_drawn_as_they_are():
    precision, recall = np.array([1.0, 0.6, 0.0]), np.array([0.0, 0.5, 0.8])
    figure = curves.prd_figure({"digit": (precision[::-1], recall[::-1]), "$word_": ([0.5], [0.5])})
    first, second = figure.axes[0].lines
    np.testing.assert_array_equal(first.get_xydata(), np.transpose([recall, precision]))
    np.testing.assert_array_equal(second.get_xydata(), [[0.5, 0.5]])
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("recall", "precision")
    assert [t.get_text() for t in figure.axes[0].get_legend().get_texts()] == ["digit", "$word_"]
    figures.to_image(figure)


def test_each_modality_has_a_panel_of_its_own():
    curve = ([0.5], [0.5])
    figure = curves.prd_figure({"digit real": curve, "digit random": curve, "scene scene<-digit": curve})
    assert [(axes.get_title(), [x.get_label() for x in axes.lines]) for axes in figure.axes] == [
        ("digit", ["real", "random"]),
        ("scene", ["scene<-digit"]),
    ]
    figures.to_image(figure)


@pytest.mark.parametrize(
    ("drawn", "message"),
    [
        ({}, "no curves"),
        ({"a": ([0.5, 0.5], [0.5])}, r"a: wanted as many precisions as recalls, not \(2,\) and \(1,\)"),
        ({"a": ([0.5], [1.5])}, "0..1"),
        ({"a": ([float("nan")], [0.5])}, "0..1"),
    ],
)
def test_what_is_no_curve_is_refused(drawn, message):
    with pytest.raises(ValueError, match=message):
        curves.prd_figure(drawn)
