"""A model and a metric of your own, in one file outside the package.

    mmtf train --plugin=examples/new_model.py --model=tempered_poe --temper=0.5 --run_dir=runs/own
    mmtf evaluate --run_dir=runs/own

The model fuses experts by a tempered product (Cao & Fleet 2014): each precision counts `temper` times, so that several
modalities that agree do not make a posterior sharper than they are worth. The metric tells how wide posteriors are. The
printed table, `report.html` and TensorBoard show it beside all others. A run keeps a copy of this file, so that evaluating,
loading and exporting the run later needs nothing else.
"""

import mmtf
from mmtf.config import declare, option
from mmtf.distributions.gaussian import weighted_product
from mmtf.evaluation.batches import in_batches, mean_of_examples
from mmtf.modality import subset_key
from mmtf.models.vae.base import MultimodalVAE
from mmtf.models.vae.options import VAEOptions


@declare
class Options(VAEOptions):
    """Options of the tempered product of experts; each is a flag of `mmtf train` and a keyword of `mmtf.train`."""

    temper: float = option(0.5, "Power to which each expert is raised in the product; 1 is MVAE's.", above=0, high=1)


class TemperedPoE(MultimodalVAE):
    """q(c|X_K) = p(c) prod_{j in K} q(c|x_j)^t, normalised, and the lower bound of all modalities."""

    Options = Options

    def fuse(self, experts, present):
        weights = [self.options.temper * present[name] for name in experts]
        return weighted_product([*experts.values(), self.prior], [*weights, 1.0])

    def elbo(self, observed, codes, noise):
        posterior = self.fuse(codes.shared, observed.present)
        return self.gaussian_elbo(observed, codes, posterior, self.sample_private(codes, noise), noise)


def posterior_width(context):
    """Return the mean standard deviation of q(c|X_K) over test examples and dimensions, by subset K, with its uncertainty."""

    def widths(batch, number):
        return {subset: q.stddev() for subset, q in context.model.posteriors(*batch).items()}

    found = {}
    for subset, stddev in in_batches(context.test, widths).items():
        whole = context.test.has(subset)
        examples = context.test.at(whole.nonzero()[0])
        found[subset_key(subset, context.model.names)] = mean_of_examples(stddev[whole].mean(axis=1), examples)
    return found


MODELS = {"tempered_poe": TemperedPoE}
METRICS = [
    mmtf.MetricSpec(
        "posterior_width",
        title="Posterior width",
        meaning="Mean standard deviation of the shared code's posterior q(c|X_K) over test examples and dimensions.",
        unit="prior standard deviations",
        section="latent",
        summary=True,
        measure=posterior_width,
    )
]
