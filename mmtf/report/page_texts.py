"""The words of a run's page: protocols, papers, and what each figure shows.

[S]: Sutter, Daunhawer, Vogt 2020. [C]: Chen, Zhu 2022.
"""

from __future__ import annotations

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
