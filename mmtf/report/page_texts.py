"""The words of a run's page: what each number means, what each figure shows, and how the page looks."""

from __future__ import annotations

# Sections of numbers: anchor, title, and words in the names of their entries. An entry belongs to the first that fits.
SECTIONS = (
    ("latent", "Latent codes", ("probe", "active_units", "collapse")),
    ("coherence", "Coherence", ("coherence", "classifier")),
    ("likelihood", "Likelihood", ("likelihood",)),
    ("quality", "Quality of samples", ("prd", "frechet", "features", "reconstruction")),
    ("correlation", "Correlation and relatedness", ("cca", "retrieval", "mismatch", "divergence_between")),
    ("objective", "Objective on the test split", ("test_terms",)),
)
OTHER = ("other", "Other measurements")

# What an entry of metrics.json means; those that are not here are listed all the same.
MEANING = {
    "score": "What probes, coherence and classifiers are measured in.",
    "probe": "Score of a linear classifier (logistic regression without penalty) on the mean of q(c|X_K) of the given "
    "modalities, fitted on training examples and scored on test examples.",
    "probe_one_batch": "The same, fitted on 256 training examples, as [S] C.2.1 does.",
    "probe_private": "The same on the mean of a modality's private code; the lower, the less it tells of what is shared.",
    "probe_both": "The same on shared and private code side by side.",
    "probe_by_label": "Average precision of the probe, attribute by attribute.",
    "coherence": "Share of test examples whose class a classifier sees in a modality (column) that was generated from the "
    "given ones (row), with a private code from its prior ([S] C.2.2). Random: share of samples from the prior on whose class "
    "the classifiers of all modalities agree.",
    "coherence_own_private": "The same, with the given modalities' own private codes.",
    "coherence_likeliest": "The same for the likeliest characters of a text, one by one: the text that a reader sees.",
    "coherence_by_label": "Average precision of what was generated, attribute by attribute.",
    "coherence_standard_error": "Standard errors of coherence.",
    "classifier_accuracy": "Accuracy of the classifiers on real test values: what a perfect model would get.",
    "classifier_average_precision": "Average precision of the classifiers on real test values: what a perfect model would get.",
    "classifier_by_label": "The same, attribute by attribute.",
    "label_prevalence": "Share of test examples that have each attribute: the average precision of random scores.",
    "coherence_interval": "95 % intervals of coherence (Wilson's; examples that come from the same value count as what "
    "they tell).",
    "coherence_published": "Random coherence as the release of [S] counts it: three different classes count as "
    "agreement, so that independent samples of ten even classes come to 0.82.",
    "likelihood": "Log-likelihoods in nats by importance sampling: of all modalities with samples from each set's posterior "
    "(joint), of each set itself (marginal), and of one modality given others (conditional, their difference). Standard errors "
    "are over test examples; sampling_error is what other samples would change. The estimate is too low by about half its "
    "sampling variance per example; a small effective sample size, or a Pareto k-hat above 0.7, says not to trust it.",
    "likelihood_many": "The same with many samples, for fewer examples; by_samples shows how the estimate of log p(X) rises.",
    "likelihood_published": "What the release of [S] computes: means of weights of different examples, under the density of a "
    "mixture's drawn component, with log-probabilities of texts taken for probabilities. It estimates nothing.",
    "prd": "Precision and recall of samples as distributions (Sajjadi et al. 2018), on features: the area under the curve, F_8 "
    "(recall) and F_1/8 (precision). 'real' are training values against test values: what samples that are the data come to. "
    "mean_of_curves is what the release of [S] calls PRD; the most it can be is 0.72.",
    "frechet": "Frechet distance of features of samples and of test values, of equal numbers; 'real' is its level for "
    "no difference.",
    "features": "What is compared: the values themselves, or what the coherence classifier sees before it decides.",
    "cca": "Mean cosine of pairs after a canonical correlation analysis of training features ([C] eq. 11): real pairs, random "
    "samples, one modality generated from the other, and both from both (synergy).",
    "reconstruction_error": "Mean squared error per pixel or column (images in 0..1), or share of wrong characters, of what is "
    "decoded from all modalities of a test example.",
    "active_units": "Dimensions of codes whose posterior mean varies by more than 0.01 over test examples (Burda et al. 2016).",
    "collapse": "KL from the prior, summed over dimensions, and the share of dimensions at the prior.",
    "divergence_between": "Jeffreys divergence of two modalities' posteriors of the same example, and of different "
    "ones; auc is how often the former is smaller.",
    "retrieval": "Whether the right value of one modality is found among test candidates, by another modality: by the "
    "divergence of codes, or by log p(x,y) - log p(x) - log p(y). Where values are paired by class, all of one are right.",
    "mismatch_auc": "How often a pair that belongs together scores higher than one that does not; 0.5 by chance.",
    "parts": "Seconds that each part of the judgement took.",
    "test_terms": "Mean per test example of every term of the objective, in nats, under the names of the training curves. A "
    "loss can be compared only between runs of one objective with the same weights.",
    "training": "Steps, wall seconds and steps per second of the run's training.",
    "data": "Where each set came from, and how many examples were made of it.",
    "evaluation": "The flags of evaluate.py; test_examples is how many were used.",
}
# The same where examples have attributes, and all scores are average precisions.
MEANING_OF_ATTRIBUTES = {
    "probe": "Mean over the attributes of the average precision of a linear classifier (logistic regression without penalty) "
    "on the mean of q(c|X_K) of the given modalities; random scores come to the mean of label_prevalence.",
    "coherence": "Mean over the attributes of the average precision of a classifier on a modality (column) that was generated "
    "from the given ones (row), against their true attributes ([S] C.4.3). Random: share of attributes of samples from the "
    "prior on which the classifiers of all modalities agree, which is much for rare attributes.",
}
PROTOCOLS = {
    "corrected": "Each number is measured as its words say, also where the release of a paper measures something else.",
    "published": "Numbers are measured as the authors' releases do, departures from their papers included.",
}
PAPERS = (
    "[S] Sutter, Daunhawer, Vogt 2020: Multimodal Generative Learning Utilizing Jensen-Shannon-Divergence, and its supplement.",
    "[C] Chen, Zhu 2022: Multimodal Adversarially Learned Inference with Factorized Discriminators (MMALI).",
)

# Figures in the order of the page: the name's beginning, a title, and what is seen. {} is the rest of the name.
FIGURES = (
    (
        "probe",
        "Linear probe",
        "Score of a linear classifier on the shared code of each set of modalities.",
    ),
    (
        "probe_by_label",
        "Probe by attribute",
        "Average precision of the linear probe on each attribute.",
    ),
    (
        "coherence",
        "Coherence",
        "Coherence of what was generated (column) with the given modalities (row), as in the table.",
    ),
    (
        "coherence_by_label",
        "Coherence by attribute",
        "Average precision of each attribute in what was generated.",
    ),
    (
        "prd",
        "Precision and recall of samples",
        "Precision over recall of distributions (Sajjadi et al. 2018).",
    ),
    (
        "latent_map",
        "Map of the shared code",
        "t-SNE of posterior means: a panel for each modality and for all. All panels are one map, the codes "
        "of the others in grey, so that a class with the same codes from two modalities lies at one place in "
        "both. Distances between clusters mean nothing.",
    ),
    (
        "examples",
        "Test examples",
        "One example in each row, all of its modalities side by side.",
    ),
    (
        "reconstruction",
        "Reconstructions",
        "For every modality the original and, beside it, what the model decodes from it.",
    ),
    (
        "random_",
        "Random samples: {}",
        "Samples of {} from the prior.",
    ),
    (
        "from_",
        "Generated from {}",
        "In each row a given value of {} and samples of the other modalities generated from it.",
    ),
    (
        "swap_",
        "Style and content: {}",
        "The shared code of the top row's examples with the private code of the left column's ones.",
    ),
    (
        "factors_",
        "Other styles: {}",
        "Examples of {}, decoded, and decoded with a random private code; then the other modalities.",
    ),
    (
        "traversal_",
        "Along single dimensions: {}",
        "What is decoded as {} when one dimension of a code (row) goes from -3 to 3 standard deviations of "
        "the prior and all else stays that of one example; the dimensions whose posterior means vary most.",
    ),
    (
        "columns_",
        "Distribution of columns: {}",
        "Each column of {} in the test data (grey) and in random samples (line).",
    ),
    (
        "training",
        "Training curves",
        "Every term of the objective over the training step.",
    ),
    (
        "coherence_during_training",
        "Coherence during training",
        "Coherence of cross generation over the training step.",
    ),
)

STYLE = """\
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 0 1rem 4rem; max-width: 70rem; color: #1c2430; background: #fff;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; }
h1 { margin: 1.6rem 0 .2rem; font-size: 1.7rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin: 2.6rem 0 .6rem; padding-bottom: .2rem; border-bottom: 2px solid #3b6ea5; font-size: 1.3rem; }
h3 { margin: 1.6rem 0 .4rem; font-size: 1.02rem; }
p, li { max-width: 46rem; }
a { color: #2a5885; }
code { font: .88em ui-monospace, "SFMono-Regular", Menlo, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
pre { margin: .6rem 0; padding: .7rem .9rem; background: #f3f5f8; border-radius: 6px; white-space: pre-wrap;
  overflow-wrap: anywhere; }
.facts { margin: 0; color: #566275; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .7rem; margin: 1.2rem 0; }
.tiles div { padding: .6rem .8rem; background: #f3f5f8; border-radius: 6px; }
.tiles dt { font-size: .82rem; line-height: 1.3; color: #566275; }
.tiles dd { margin: 0; font-size: 1.45rem; font-weight: 600; font-variant-numeric: tabular-nums; }
nav ol { columns: 2 16rem; margin: .4rem 0 0; padding-left: 1.4rem; }
.scroll { overflow-x: auto; margin: .5rem 0 .2rem; }
table { border-collapse: collapse; font-size: .92rem; }
th, td { padding: .28rem .65rem; border-bottom: 1px solid #dde2e9; text-align: right; font-variant-numeric: tabular-nums; }
th { font-weight: 600; }
thead th { vertical-align: bottom; border-bottom: 2px solid #b8c2cf; }
.ragged td, .ragged th { text-align: left; }
th:first-child { text-align: left; overflow-wrap: break-word; }
td.words { max-width: 40rem; }
.error, .interval { color: #566275; white-space: nowrap; }
.number { white-space: nowrap; }
.flag { display: inline-block; }
.note { color: #566275; font-size: .92rem; margin: .3rem 0; }
.note.meaning { color: #1c2430; }
figure { margin: 1.2rem 0 2rem; }
figure img { display: block; height: auto; max-width: 100%; }
figcaption { max-width: 46rem; margin-top: .4rem; font-size: .92rem; color: #566275; }
figcaption b { color: #1c2430; }
details { margin: .6rem 0; }
summary { cursor: pointer; color: #2a5885; }
footer { margin-top: 3rem; padding-top: .8rem; border-top: 1px solid #dde2e9; color: #566275; font-size: .88rem; }
@media (max-width: 40rem) { body { padding: 0 .8rem 3rem; font-size: 15px; } h1 { font-size: 1.35rem; }
  th, td { padding: .25rem .45rem; } .tiles { grid-template-columns: 1fr 1fr; } .tiles dd { font-size: 1.2rem; } }
@media print { .scroll { overflow: visible; } figure, table { break-inside: avoid; } }
"""
