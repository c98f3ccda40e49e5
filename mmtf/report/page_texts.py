"""The words of a run's page: what each number means, what each figure shows, and how the page looks."""

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
