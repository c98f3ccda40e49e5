"""Ranks, recall and the AUC by hand, by loops, and at chance."""

import math

import numpy as np
import pytest

from mmtf.metrics import retrieval


def test_ranks_by_hand():
    scores = [[0.1, 0.9, 0.5], [0.1, 0.9, 0.5], [0.1, 0.9, 0.5], [2.0, 2.0, 1.0], [3.0, 3.0, 3.0]]
    np.testing.assert_array_equal(retrieval.ranks(scores, [1, 2, 0, 1, 0]), [1, 2, 3, 1.5, 2])


def test_ranks_are_the_mean_over_all_orders_of_ties():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 4, (40, 6)).astype(float)
    scores[0, :3] = -np.inf
    relevant = rng.uniform(size=(40, 6)) < 0.4
    relevant[np.arange(40), rng.integers(0, 6, 40)] = True
    relevant[0] = [True, False, False, False, False, False]
    orders = np.array(np.meshgrid(*[range(6)] * 6)).reshape(6, -1).T
    orders = orders[[len(set(order)) == 6 for order in orders]]
    expected = []
    for s, r in zip(scores, relevant, strict=True):
        firsts = []
        for order in orders:
            ranked = order[np.argsort(-s[order], kind="stable")]
            firsts.append(1 + np.argmax(r[ranked]))
        expected.append(np.mean(firsts))
    np.testing.assert_allclose(retrieval.ranks(scores, relevant=relevant), expected)
    drawn = np.mean([retrieval.ranks(scores, relevant=relevant, seed=seed) for seed in range(4000)], axis=0)
    np.testing.assert_allclose(drawn, expected, atol=0.1)


def test_one_right_candidate_is_the_same_either_way():
    rng = np.random.default_rng(0)
    scores, truth = rng.integers(0, 5, (50, 8)), rng.integers(0, 8, 50)
    relevant = np.eye(8, dtype=bool)[truth]
    np.testing.assert_array_equal(retrieval.ranks(scores, truth), retrieval.ranks(scores, relevant=relevant))
    by_loops = [
        1 + sum(s > row[t] for s in row) + (sum(s == row[t] for s in row) - 1) / 2 for row, t in zip(scores, truth, strict=True)
    ]
    np.testing.assert_array_equal(retrieval.ranks(scores, truth), by_loops)


def test_only_the_order_of_scores_counts():
    rng = np.random.default_rng(0)
    scores, truth = rng.normal(size=(30, 12)), rng.integers(0, 12, 30)
    np.testing.assert_array_equal(retrieval.ranks(np.exp(scores), truth), retrieval.ranks(scores, truth))
    np.testing.assert_array_equal(retrieval.ranks(scores, truth) + retrieval.ranks(-scores, truth), 13)
    np.testing.assert_array_equal(retrieval.ranks(scores, truth, seed=0), retrieval.ranks(scores, truth))


@pytest.mark.parametrize("kind", ["noise", "constant"])
def test_chance_levels(kind):
    rng, queries, candidates = np.random.default_rng(0), 4000, 15
    scores = rng.normal(size=(queries, candidates)) if kind == "noise" else np.ones((queries, candidates))
    found = retrieval.ranks(scores, rng.integers(0, candidates, queries), seed=1)
    assert found.mean() == pytest.approx(8, abs=4 * 4.32 / np.sqrt(queries))
    assert retrieval.median_rank(found) in (7, 8, 9)
    for k in (1, 5, 10):
        assert retrieval.recall_at(found, k) == pytest.approx(k / candidates, abs=4 * 0.5 / np.sqrt(queries))
    relevant = np.tile(np.arange(candidates) < 3, (queries, 1))
    of_three = retrieval.ranks(scores, relevant=relevant, seed=2)
    assert of_three.mean() == pytest.approx(16 / 4, abs=0.2)
    expected = 1 - math.comb(12, 5) / math.comb(15, 5)
    assert retrieval.recall_at(of_three, 5) == pytest.approx(expected, abs=4 * 0.5 / np.sqrt(queries))
    if kind == "constant":
        assert set(retrieval.ranks(scores, relevant=relevant)) == {4.0}


def test_recall_and_median_by_hand():
    ranks = [1, 1, 2, 3.5, 9]
    assert [retrieval.recall_at(ranks, k) for k in (1, 2, 3, 4, 9)] == [0.4, 0.6, 0.6, 0.8, 1.0]
    assert retrieval.median_rank(ranks) == 2


def test_the_auc_is_the_share_of_pairs_in_the_right_order():
    rng = np.random.default_rng(0)
    matched, others = rng.integers(2, 8, 30).astype(float), rng.integers(0, 6, (10, 4)).astype(float)
    matched[0], others[0, 0] = np.inf, -np.inf
    expected = np.mean([(m > o) + 0.5 * (m == o) for m in matched for o in others.ravel()])
    assert retrieval.mismatch_auc(matched, others) == pytest.approx(expected)
    assert retrieval.mismatch_auc(others, matched) == pytest.approx(1 - expected)
    assert retrieval.mismatch_auc([1.0, 2.0], [0.5]) == 1.0
    assert retrieval.mismatch_auc([1.0, 1.0], [1.0]) == 0.5


def test_the_auc_of_two_normals():
    # P(a > b) = Phi(d / sqrt(2)) for N(d, 1) and N(0, 1); d = 1 gives 0.7602.
    rng = np.random.default_rng(0)
    assert retrieval.mismatch_auc(1 + rng.normal(size=5000), rng.normal(size=5000)) == pytest.approx(0.7602, abs=0.02)


def test_mismatched_examples_are_others_from_elsewhere():
    for seed in range(20):
        partner = retrieval.mismatched(7, seed=seed)
        assert sorted(partner) == list(range(7))
        assert (partner != np.arange(7)).all()
        sources = np.array(list("aaabbcdddee"))
        partner = retrieval.mismatched(11, clusters=sources, seed=seed)
        assert sorted(partner) == list(range(11))
        assert (sources[partner] != sources).all()
    # Every other example can be the one.
    assert {retrieval.mismatched(5, seed=seed)[0] for seed in range(100)} == {1, 2, 3, 4}
    np.testing.assert_array_equal(retrieval.mismatched(9, seed=3), retrieval.mismatched(9, seed=3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: retrieval.ranks([0.1, 0.2], [0]), r"scores: .*\(2,\)"),
        (lambda: retrieval.ranks([[np.nan, 0.2]], [0]), "none NaN"),
        (lambda: retrieval.ranks([[0.1, 0.2]], [2]), "index in 0..1 for each of 1"),
        (lambda: retrieval.ranks([[0.1, 0.2]], [0.0]), "index in 0..1"),
        (lambda: retrieval.ranks([[0.1, 0.2]], [0, 1]), "each of 1 queries"),
        (lambda: retrieval.ranks([[0.1, 0.2]]), "either truth"),
        (lambda: retrieval.ranks([[0.1, 0.2]], [0], relevant=np.ones((1, 2), bool)), "either truth"),
        (lambda: retrieval.ranks([[0.1, 0.2]], relevant=np.zeros((1, 2), bool)), "a right candidate for each"),
        (lambda: retrieval.ranks([[0.1, 0.2]], relevant=np.ones((1, 2))), "relevant: wanted a bool"),
        (lambda: retrieval.recall_at([1, 2], 0), "k must be 1 or more"),
        (lambda: retrieval.recall_at([0, 2], 1), "from 1 on"),
        (lambda: retrieval.median_rank([]), "from 1 on"),
        (lambda: retrieval.mismatch_auc([], [1.0]), "matched_scores: .*there are 0"),
        (lambda: retrieval.mismatch_auc([1.0], [np.nan]), "mismatched_scores: "),
        (lambda: retrieval.mismatched(1), "two examples or more"),
        (lambda: retrieval.mismatched(3, clusters=[1, 1, 2]), "2 of 3 examples"),
    ],
)
def test_what_cannot_be_ranked_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
