"""Every hyper-parameter, declared once: its default, its flag, its place in config.json and its limits come from here.

One frozen dataclass per concern: which examples, which model, how it is trained, how it is evaluated.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from mmtf.config.names import DATASETS, MODELS
from mmtf.config.options import check_limits, option
from mmtf.modality import Modality

STRATEGIES = ("auto", "one", "mirrored", "multi_worker", "tpu")


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Which examples: what all data sets share. A data set's own options stand in its file.

    `DataConfig("multimnist", num_modalities=3)` makes the options of that data set, a subclass.
    """

    dataset: str = option("digits", "Data set; `mmtf list datasets` shows them.")
    data_dir: str = option(
        "", "Folder with the data set's original files, or with TFDS data; by default MMTF_DATA_DIR.", may_change=True
    )
    download: bool = option(False, "Let TFDS download a data set that is not there.", may_change=True)
    modalities: str = option("", "Modalities to train on, such as 'digit,scene'; all by default.")
    data_fraction: float = option(
        1.0, "Share of each class's training examples to keep; --data_seed chooses them.", above=0, high=1
    )
    data_seed: int = option(0, "Seed of the split, of the pairing and of generated parts of the data.", low=0)

    def __new__(cls, *values, **options):
        return object.__new__(DATASETS.chosen(cls, values, options) if cls is DataConfig else cls)

    def __post_init__(self):
        check_limits(self)
        DATASETS.check(self)


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Which objective and which latent space: what all models share. A model's own options stand in its file.

    `ModelConfig("mvae", beta=2.0)` makes the options of that model, a subclass.
    """

    model: str = option("mmjsd", "Model; `mmtf list models` shows them.")
    shared_dim: int = option(20, "Size of the shared code c.", low=1)
    private_dim: int = option(0, "Size of each modality's private code s_j; 0 for none.", low=0)

    # Whether a training step takes examples alone that have all modalities.
    needs_complete_examples = False

    def __new__(cls, *values, **options):
        return object.__new__(MODELS.chosen(cls, values, options) if cls is ModelConfig else cls)

    def __post_init__(self):
        check_limits(self)
        MODELS.check(self)

    def check(self, train: TrainConfig | None = None) -> None:
        """Raise UserError where options contradict one another, or the training."""

    def other_examples(self) -> int:
        """Return how many other examples each example is compared with, which must be on the same device."""
        return 0

    def configured(self, modalities: Sequence[Modality]) -> tuple[Modality, ...]:
        """Return the modalities with the private size and the weights that the options say.

        Raises:
          UserError: an option names a modality that is not there.
        """
        return self.weighted([dataclasses.replace(m, private_dim=self.private_dim) for m in modalities])

    def weighted(self, modalities: Sequence[Modality]) -> tuple[Modality, ...]:
        """Return the modalities with the weights that the options say. Raises UserError as `configured` does."""
        return tuple(modalities)


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """How long, how fast, on what."""

    batch_size: int = option(256, "Examples per step, over all replicas.", low=1)
    microbatch: int = option(
        0,
        "VAEs: examples per device that are processed at once, to save memory; 0 for the whole batch. The gradient is that of "
        "the whole batch; --contrast compares the examples of a microbatch.",
        low=0,
        may_change=True,
    )
    learning_rate: float = option(1e-3, "Adam's learning rate at the start.", above=0)
    adam_beta_1: float = option(0.9, "Adam's decay of the gradients' mean; adversarial models take 0.5.", low=0, high=0.999)
    adam_form: str = option(
        "paper",
        "Where Adam adds its epsilon: after the bias correction, as its paper and the releases have it, or before, as Keras.",
        choices=("paper", "keras"),
        former="keras",
    )
    adam_epsilon: float = option(1e-8, "Adam's epsilon.", above=0, former=1e-7)
    learning_rate_schedule: str = option(
        "constant", "Schedule of the learning rate; 'cosine' decays to 0 at the last step.", choices=("constant", "cosine")
    )
    epochs: int = option(50, "Passes over the training examples.", low=1, may_change=True)
    steps: int = option(0, "Training steps; 0 to train for --epochs.", low=0, may_change=True)
    max_seconds: float = option(
        0.0,
        "Seconds of training, after which it stops with a checkpoint; 0 for no limit.",
        low=0,
        may_change=True,
    )
    clock: str = option(
        "wall", "Clock of --max_seconds: wall time, or CPU time of the process.", choices=("wall", "cpu"), may_change=True
    )
    steps_per_epoch: int = option(
        0,
        "Steps per epoch, at the end of which a checkpoint is saved; 0 for one pass over the examples, but at least 100.",
        low=0,
    )
    precision: str = option(
        "float32",
        "Numbers that networks compute with in training. bfloat16 is faster on processors that support it, and has 8 bits of "
        "precision. Weights, updates, distributions and likelihoods stay float32, and so does everything after training.",
        choices=("float32", "bfloat16"),
    )
    seed: int = option(0, "Seed of the initial weights, the noise and the order of the examples.", low=0)
    panels_every: int = option(5, "Epochs between image panels in TensorBoard; 0 for none.", low=0, may_change=True)
    coherence_every: int = option(
        0,
        "Epochs between measurements of coherence for TensorBoard; 0 for none. The classifiers are trained first.",
        low=0,
        may_change=True,
    )
    histograms_every: int = option(
        0,
        "Epochs between histograms of weights and posteriors, and gradients' norms, in TensorBoard; 0 for none.",
        low=0,
        may_change=True,
    )
    embeddings_every: int = option(
        0,
        "Epochs between embeddings for TensorBoard's projector; 0 for none. mmtf evaluate writes them anyway.",
        low=0,
        may_change=True,
    )
    profile_steps: str = option("", "First and last step of a profile for TensorBoard, such as '21,40'.", may_change=True)
    profiler_port: int = option(
        0, "Port of the profiler, which TensorBoard can ask during training; 0 for none.", low=0, high=65535, may_change=True
    )
    checkpoint_every: int = option(
        0,
        "Steps between further checkpoints within an epoch, saved at the end of an execution; 0 for none.",
        low=0,
        may_change=True,
    )
    checkpoint_minutes: float = option(
        0.0, "Minutes between further checkpoints within an epoch; 0 for none.", low=0, may_change=True
    )
    keep_checkpoints: int = option(3, "Latest checkpoints to keep, beside the best one.", low=1, may_change=True)
    validation_examples: int = option(
        0,
        "VAEs: training examples to hold out. Their loss after each epoch chooses the best checkpoint; 0 for none.",
        low=0,
    )
    deterministic: bool = option(
        False,
        "Give bit-identical results on the same software and hardware, also when a run is killed and resumed. Uses "
        "deterministic kernels, no XLA and no rearranged sums.",
    )
    steps_per_execution: int = option(10, "Steps per call of the compiled training function.", low=1, may_change=True)
    strategy: str = option(
        "auto",
        "Devices: one; mirrored, all of this machine; multi_worker, those of all machines that TF_CONFIG names; tpu; or auto.",
        choices=STRATEGIES,
        may_change=True,
    )
    plugin: str = option(
        "",
        "Python file or module with models and metrics of your own, in tables MODELS and METRICS. A run keeps a file.",
        may_change=True,
    )
    tpu: str = option(
        "", "Name of the TPU of --strategy=tpu, 'local' on a TPU VM; by default that of TPU_NAME.", may_change=True
    )


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
    """Settings of the evaluation of a run or of a folder of samples; kept in metrics.json."""

    parts: str = option(
        "all", "Parts of metrics.json to measure, such as 'probe,likelihood'. What was measured before is kept."
    )
    protocol: str = option(
        "corrected",
        "Which numbers the table and the report show where a paper's release measures something else; metrics.json has both.",
        choices=("corrected", "published"),
    )
    test_examples: int = option(10_000, "Test examples to use, from the start of the split.", low=20)
    probe_examples: int = option(5_000, "Training examples to fit the linear probe on.", low=20)
    random_samples: int = option(10_000, "Samples from the prior for the random coherence.", low=1)
    likelihood_samples: int = option(
        12, "Importance samples K of the log-likelihoods of all test examples; 12 as in the papers' releases.", low=1
    )
    likelihood_samples_many: int = option(
        1000, "Importance samples K of the first --likelihood_examples_many test examples.", low=1
    )
    likelihood_examples_many: int = option(
        100, "Test examples whose log-likelihoods take --likelihood_samples_many samples; 0 for none.", low=0
    )
    quality_samples: int = option(
        5_000, "Samples of each kind whose distribution is compared with the test values', and pairs that CCA scores.", low=20
    )
    features: str = option(
        "classifier",
        "Features in which samples of images are compared: those of the coherence classifiers, or of InceptionV3.",
        choices=("classifier", "inception"),
    )
    inception_weights: str = option("", "File with InceptionV3's weights; by default the one that Keras downloaded.")
    retrieval_candidates: int = option(
        1_000, "Test examples among which a modality is retrieved by the divergence of codes.", low=2
    )
    retrieval_likelihood_candidates: int = option(
        50,
        "Test examples among which a modality is retrieved by likelihoods, of which all pairs are computed; 0 for none.",
        low=0,
    )
    evaluation_seed: int = option(0, "Seed of sampled codes and of the coherence classifiers.", low=0)
    data_dir: str = option(
        "",
        "Folder with the data: of a run where it has moved since training, else the run's own --data_dir; of --samples as for "
        "training, by default MMTF_DATA_DIR.",
    )
    plugin: str = option("", "Python file or module with metrics of your own; by default that of the run.")
    cache_dir: str = option("", "Folder of trained classifiers; by default MMTF_CACHE_DIR or ~/.cache/mmtf.")

    def __post_init__(self):
        check_limits(self)
