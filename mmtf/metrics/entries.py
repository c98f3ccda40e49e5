"""Every entry of metrics.json, declared once.

The printed table, the run's page, the model card, TensorBoard's summary and docs/metrics.md are made from `METRICS`.

[S]: Sutter, Daunhawer, Vogt 2020. [C]: Chen, Zhu 2022.
"""

from __future__ import annotations

from mmtf.metrics.specs import MetricSpec, MetricTable


def _about(key: str, title: str, meaning: str, table: str | None = None) -> MetricSpec:
    """Return an entry that says what was measured, and is no measurement."""
    return MetricSpec(key, title, meaning, section=None, table=table)


METRICS = MetricTable(
    [
        _about("model", "Model", "The model that was evaluated.", "heading"),
        _about("dataset", "Data set", "The data set that it was evaluated on.", "heading"),
        _about("protocol", "Protocol", "Which numbers are shown where a paper's release measures something else.", "heading"),
        _about("seed", "Seed", "The seed of training.", "heading"),
        _about("step", "Step", "The training step of the checkpoint."),
        _about(
            "score",
            "Score",
            "What probes, coherence and classifiers are measured in: `accuracy` where each example has one class, "
            "`average_precision` where it has any number of attributes.",
            "heading",
        ),
        MetricSpec(
            "probe",
            "Linear probe",
            "Score of a linear classifier (logistic regression without penalty) on the mean of q(c|X_K) of the given "
            "modalities, fitted on `probe_examples` training examples and scored on test examples ([S] C.2.1, with more "
            "examples).",
            "score",
            "latent",
            "scores",
            "Mean over the attributes of the average precision of a linear classifier (logistic regression without penalty) on "
            "the mean of q(c|X_K) of the given modalities ([S] C.4.3). Random scores come to the mean of label_prevalence.",
            summary=True,
        ),
        MetricSpec(
            "probe_one_batch",
            "Linear probe on one batch",
            "The linear probe, fitted on 256 training examples as [S] C.2.1 does; on all, where there are fewer.",
            "score",
            "latent",
            None,
        ),
        MetricSpec(
            "probe_private",
            "Linear probe of private codes",
            "The linear probe on the mean of a modality's private code q(s_j|x_j) ([C] Table 3). The lower it is, the less the "
            "private code tells of what is shared.",
            "score",
            "latent",
            None,
        ),
        MetricSpec(
            "probe_both",
            "Linear probe of both codes",
            "The linear probe on the means of the shared and the private code side by side ([C] Table 3).",
            "score",
            "latent",
            None,
        ),
        MetricSpec(
            "probe_by_label",
            "Linear probe by attribute",
            "Average precision of the linear probe on each attribute.",
            "average precision",
            "latent",
            None,
        ),
        MetricSpec(
            "coherence",
            "Coherence",
            "Share of test examples whose class a classifier sees in the generated modality Y (column), decoded from "
            "c ~ q(c|X_K) of the given ones (row) and a private code from its prior ([S] C.2.2); also for Y in K. `random` is "
            "the share of samples from the prior on whose class the classifiers of all modalities agree.",
            "score",
            "coherence",
            "scores",
            "Mean over the attributes of the average precision of a classifier on a modality (column) that was generated from "
            "the given ones (row), against their true attributes ([S] C.4.3). `random` is the share of attributes of samples "
            "from the prior on which the classifiers of all modalities agree, which is high for rare attributes.",
            summary=True,
        ),
        MetricSpec(
            "coherence_own_private",
            "Coherence with own private codes",
            "Coherence for Y in K, with the private code of the given value, s_Y ~ q(s_Y|x_Y). Only for private codes.",
            "score",
            "coherence",
            None,
        ),
        MetricSpec(
            "coherence_likeliest",
            "Coherence of likeliest texts",
            "Coherence of the likeliest characters of a text, one by one: the text that a reader sees.",
            "score",
            "coherence",
            None,
        ),
        MetricSpec(
            "coherence_by_label",
            "Coherence by attribute",
            "Average precision of what was generated, attribute by attribute.",
            "average precision",
            "coherence",
            None,
        ),
        MetricSpec(
            "coherence_standard_error",
            "Standard error of coherence",
            "Standard errors of coherence; with attributes, from resampled examples.",
            "score",
            "coherence",
            None,
        ),
        MetricSpec(
            "coherence_interval",
            "Interval of coherence",
            "95 % intervals of coherence (Wilson's). Examples that come from the same value count as what they tell.",
            "score",
            "coherence",
            None,
        ),
        MetricSpec(
            "coherence_published",
            "Random coherence as published",
            "Random coherence as the release of [S] counts it, of three modalities: three different classes count as "
            "agreement. Independent samples of ten even classes come to 0.82, and to 0.01 under `coherence`.",
            "score",
            "coherence",
            None,
        ),
        MetricSpec(
            "classifier_accuracy",
            "Accuracy of the classifiers",
            "Accuracy of each coherence classifier on real test values: what a perfect model would get.",
            "accuracy",
            "coherence",
            "scores",
        ),
        MetricSpec(
            "classifier_average_precision",
            "Average precision of the classifiers",
            "Average precision of each coherence classifier on real test values: what a perfect model would get.",
            "average precision",
            "coherence",
            "scores",
        ),
        MetricSpec(
            "classifier_by_label",
            "Classifiers by attribute",
            "Average precision of the classifiers on real test values, attribute by attribute.",
            "average precision",
            "coherence",
            None,
        ),
        MetricSpec(
            "label_prevalence",
            "Prevalence of attributes",
            "Share of test examples that have each attribute: the average precision of random scores.",
            "share",
            "other",
            None,
        ),
        MetricSpec(
            "test_terms",
            "Objective on the test split",
            "Mean per test example of every term of the objective, under the names of the training curves; `loss` has the "
            "weights of the last step. A loss can be compared only between runs of one objective with the same weights.",
            "nats",
            "objective",
            "terms",
        ),
        MetricSpec(
            "likelihood",
            "Log-likelihood",
            "Log-likelihoods by importance sampling: of all modalities with samples from each set's posterior (joint), of each "
            "set itself (marginal), and of one modality given others (conditional, their difference). Standard errors are over "
            "test examples; sampling_error is what other samples would change. The estimate is too low by about half its "
            "sampling variance per example. A small effective sample size, or a Pareto k-hat above 0.7, says not to trust it. "
            "Adversarial models have none.",
            "nats",
            "likelihood",
            "likelihood",
            summary=True,
        ),
        MetricSpec(
            "likelihood_many",
            "Log-likelihood with many samples",
            "Log-likelihoods with many samples, for fewer examples; by_samples shows how the estimate of log p(X) rises.",
            "nats",
            "likelihood",
            "likelihood",
        ),
        MetricSpec(
            "likelihood_published",
            "Log-likelihood as published",
            "What the release of [S] computes: means of weights of different examples, under the density of a mixture's drawn "
            "component, with log-probabilities of texts taken for probabilities, and with private codes of other modalities "
            "drawn from the prior. It estimates nothing.",
            "nats",
            "likelihood",
            "likelihood",
        ),
        MetricSpec(
            "prd",
            "Precision and recall of samples",
            "Precision and recall of samples as distributions (Sajjadi et al. 2018), on features: the area under the curve, "
            "F_8 (recall) and F_1/8 (precision). `real` are training values against test values: what samples that are the "
            "data come to. mean_of_curves is what the release of [S] calls PRD; the most it can be is 0.72.",
            "area, F-score",
            "quality",
            "samples",
            summary=True,
        ),
        MetricSpec(
            "frechet",
            "Frechet distance",
            "Frechet distance of features of samples and of test values, of equal numbers; `real` is its level for no "
            "difference.",
            "squared features",
            "quality",
            "samples",
        ),
        MetricSpec(
            "features",
            "Features compared",
            "What is compared: the values themselves, or what the coherence classifier sees before it decides.",
            "",
            "quality",
            "samples",
        ),
        MetricSpec(
            "cca",
            "Canonical correlation",
            "By pair of modalities, the mean cosine of pairs after a canonical correlation analysis of up to 40 dimensions, "
            "fitted on training features ([C] eq. 11): of real pairs (ground_truth), of samples from the priors (joint), of "
            "one modality generated from the other (cross), and of both from both (synergy).",
            "cosine",
            "correlation",
            "correlations",
        ),
        MetricSpec(
            "cca_published",
            "Canonical correlation as published",
            "The same by the projections of the releases of MMVAE and [C], whose dimensions have unequal variance; it depends "
            "on the units of the features.",
            "cosine",
            "correlation",
            None,
        ),
        MetricSpec(
            "reconstruction_error",
            "Reconstruction error",
            "Mean squared error per pixel or column (images in 0..1), or share of wrong characters, of what is decoded from "
            "q(c|X) of all modalities of a test example and its private codes.",
            "squared units of the data, or share",
            "quality",
            "reconstructions",
        ),
        MetricSpec(
            "active_units",
            "Active units",
            "Dimensions of shared codes by subset, and of private ones by modality, whose posterior mean varies by more than "
            "0.01 over test examples (Burda et al. 2016).",
            "dimensions",
            "latent",
            "codes",
        ),
        MetricSpec(
            "collapse",
            "Posterior collapse",
            "KL from the prior, summed over dimensions, and the share of dimensions at the prior; of single modalities.",
            "nats, share",
            "latent",
            "codes",
        ),
        MetricSpec(
            "divergence_between",
            "Divergence between modalities",
            "Jeffreys divergence of two modalities' posteriors of the same example (matched), and of different ones "
            "(mismatched); auc is how often the former is smaller.",
            "nats",
            "correlation",
            "agreement",
        ),
        MetricSpec(
            "retrieval",
            "Retrieval",
            "Whether the right value of one modality is found among test candidates, by another modality: by the divergence of "
            "codes (latent), or by log p(x,y) - log p(x) - log p(y) (likelihood). Recall at 1, 5 and 10, the median rank, and "
            "the recall that chance comes to. Where values are paired by class, all of one class are right.",
            "share, rank",
            "correlation",
            "pairs",
        ),
        MetricSpec(
            "mismatch_auc",
            "Detection of mismatched pairs",
            "How often a pair that belongs together scores higher than one that does not; 0.5 by chance.",
            "share",
            "correlation",
            "agreement",
        ),
        _about("parts", "Cost", "Seconds that each part of the evaluation took, of the wall and of the processors.", "costs"),
        _about("asked", "Parts asked for", "The parts that the evaluation was asked for; it ends when all are measured."),
        _about("version", "Version", "The version of the file's form.", "costs"),
        _about("measured_of", "Fingerprint", "A fingerprint of weights, settings and examples.", "costs"),
        _about("training", "Training", "Steps, wall seconds and steps per second of the run's training.", "heading"),
        _about("data", "Data", "Where each set came from, and how many examples were made of it.", "data"),
        _about("evaluation", "Evaluation", "The flags of `mmtf evaluate`; test_examples is how many were used."),
    ]
)
