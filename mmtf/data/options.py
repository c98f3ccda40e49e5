"""Options that several data sets share. A data set's own stand in its file.

[S]: Sutter, Daunhawer, Vogt 2020. [C]: Chen, Zhu 2022.
"""

from __future__ import annotations

from mmtf.config import DataConfig, declare, option


@declare
class PairedOptions(DataConfig):
    """Options of a data set whose examples are made by pairing single values of one class."""

    pairings: int | None = option(
        None,
        "Examples made of each one of the first modality, each with other partners: by default 20 as in [S], and 30 as in [C] "
        "for mnist_svhn and multimnist.",
        low=1,
    )
    unpaired_pools: bool = option(
        False, "Train also on every single training value by itself, those that --data_fraction leaves out too."
    )


@declare
class PhotographOptions(DataConfig):
    """Options of a data set of photographs in files."""

    skip_damaged: bool = option(False, "Leave out images that cannot be read, instead of stopping.")
