"""Every hyper-parameter, declared once: its default, its flag, its place in config.json and its limits come from here.

One frozen dataclass per concern: which examples, which model, how it is trained, how it is judged.
"""

from __future__ import annotations

import dataclasses

from mmtf.config.options import check_limits, option

# Data sets whose examples are made by pairing single values of one class.
PAIRED = ("digits", "mnist_svhn_text", "mnist_svhn", "multimnist")
PHOTOGRAPHS = ("celeba", "cub")
STRATEGIES = ("auto", "one", "mirrored", "multi_worker", "tpu")


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Which examples."""

    dataset: str = option("digits", "Data set to train on; see mmtf.registry.DATASETS.")
    data_dir: str = option(
        "", "Folder with the data set's original files, or with TFDS data; by default MMTF_DATA_DIR.", may_change=True
    )
    download: bool = option(False, "Let TFDS download a data set that is not there.", may_change=True)
    pairings: int | None = option(
        None,
        "Examples made of each one of the first modality, each with other partners: by default 20 as in [S], and 30 as in [C] "
        "for mnist_svhn and multimnist.",
        low=1,
        datasets=PAIRED,
    )
    modalities: str = option("", "Train on these modalities alone, such as 'digit,scene'; by default on all.")
    data_fraction: float = option(
        1.0, "Share of each class's training data that is kept, the same for a seed.", above=0, high=1
    )
    unpaired_pools: bool = option(
        False,
        "Train also on every single training value by itself, those that --data_fraction leaves out too.",
        datasets=PAIRED,
    )
    num_modalities: int = option(2, "multimnist: rotations, each by 90 degrees more.", low=2, high=4, datasets=("multimnist",))
    image_features: str = option(
        "auto",
        "cub: which prepared image features; auto takes resnet101 where there are any.",
        choices=("auto", "resnet101", "classes"),
        datasets=("cub",),
    )
    features_dir: str = option(
        "", "cub: where prepared features are; by default MMTF_CACHE_DIR or ~/.cache/mmtf.", datasets=("cub",), may_change=True
    )
    skip_damaged: bool = option(False, "Leave out images that cannot be read, instead of stopping.", datasets=PHOTOGRAPHS)
    data_seed: int = option(0, "Seed of the split, of the pairing and of made-up parts of the data.", low=0)

    def __post_init__(self):
        check_limits(self)


VAES = ("mmjsd", "mmvae", "mvae", "mopoe", "mmvae_iw", "mmvae_plus", "jmvae", "mvtcae")
# Departures of releases that --quirks repeats, and the models that have them.
LOG_SOFTMAX, UNIT_WEIGHTS = "log_softmax_as_probabilities", "unit_weights_of_single_bounds"
QUIRKS = {LOG_SOFTMAX: VAES, UNIT_WEIGHTS: ("mvae",)}
# Whose bounds are made of importance samples: always, and also those where it is asked for.
SAMPLED = ("mmvae_iw", "mmvae_plus")
WEIGHTED = (*SAMPLED, "mvae", "jmvae")
ADVERSARIAL = ("mmali", "mmali_joint")


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Which objective, which latent space, which weights ([S] C.3.2; of games [C]'s release)."""

    model: str = option("mmjsd", "Model to train; see mmtf.registry.MODELS.")
    shared_dim: int = option(20, "Size of the shared code c.", low=1)
    private_dim: int = option(0, "Size of each modality's private code s_j; 0 for none.", low=0)
    beta: float = option(5.0, "Weight of all divergences.", low=0, models=VAES)
    shared_beta: float = option(1.0, "Weight of the shared code's divergence, times --beta.", low=0, models=VAES)
    private_beta: float = option(1.0, "Weight of the private codes' divergences, times --beta.", low=0, models=VAES)
    private_weights: str = option(
        "", "Further weights of single modalities' private divergences, such as 'word=5'.", models=VAES
    )
    likelihood_weights: str = option(
        "", "Likelihood weights, such as 'digit=3.9,word=384'; by default size(largest)/size.", models=VAES
    )
    beta_start: float | None = option(None, "--beta at step 0, changing linearly over --warmup_steps.", low=0, models=VAES)
    private_beta_start: float | None = option(None, "--private_beta at step 0, changing likewise.", low=0, models=VAES)
    warmup_steps: int = option(0, "Steps over which the weights go from their start to their end.", low=0, models=VAES)
    prior_weight: float | None = option(
        None, "mmJSD: share pi of the prior in the divergence; 1/(M+1) by default.", above=0, high=0.999, models=("mmjsd",)
    )
    mvae_subsets: int = option(0, "MVAE: lower bounds of random sets of modalities added each step.", low=0, models=("mvae",))
    alpha: float | None = option(
        None,
        "jmvae, mvtcae: weight of KL(q(c|X) || q(c|x_j)), which draws single modalities' posteriors to the joint one; "
        "0.1 by default.",
        low=0,
        models=("jmvae", "mvtcae"),
    )
    alpha_start: float | None = option(
        None, "jmvae: --alpha at step 0, changing linearly over --warmup_steps.", low=0, models=("jmvae",)
    )
    importance_samples: int | None = option(
        None,
        "Samples K of importance-weighted bounds: those of mmvae_iw and mmvae_plus, K from each expert; those of mvae and "
        "jmvae, which take one sample and closed divergences without it; and those of --contrast. 30 by default.",
        low=1,
        models=VAES,
    )
    importance_bound: str = option(
        "looser",
        "mmvae_iw, mmvae_plus: mean over the experts of the bounds of their samples, or one bound of all samples.",
        choices=("looser", "tight"),
        models=SAMPLED,
    )
    gradient_estimator: str | None = option(
        None,
        "mmvae_iw, mmvae_plus: how the encoders' gradient is estimated, dreg by default and beside --contrast iwae; stl is "
        "biased for more than one sample.",
        choices=("iwae", "stl", "dreg"),
        models=SAMPLED,
    )
    posterior_family: str = option(
        "normal",
        "mmvae_iw, mmvae_plus: of the codes' posteriors and priors; laplace has the authors' scales, which sum to the code's "
        "size.",
        choices=("normal", "laplace"),
        models=VAES,
    )
    contrast: str = option(
        "none",
        "Make the objective contrastive: examples are to be likelier than with one modality of another example, whose "
        "likelihood is estimated by iwae (the variants cI-) or cubo (cC-).",
        choices=("none", "iwae", "cubo"),
        models=VAES,
    )
    contrast_gamma: float = option(2.0, "Weight of the plain loss in a contrastive one.", above=0, models=VAES)
    contrast_negatives: int = option(
        5, "Other examples N whose modalities each example gets in turn in a contrastive loss.", low=0, models=VAES
    )
    contrast_trains: str = option(
        "all",
        "What the second term of a contrastive loss trains: all, as published, or the decoders alone, which keeps encoders "
        "from making bad posteriors of what does not belong together.",
        choices=("all", "decoders"),
        models=VAES,
    )
    quirks: str = option(
        "",
        "Departures of the papers' releases from their papers, to compare with their tables: log_softmax_as_probabilities (of "
        "texts), unit_weights_of_single_bounds (of mvae).",
        models=VAES,
    )
    unimodal_weight: float = option(
        0.1, "MMALI: weight of the game on single modalities, which needs no pairs; 0 for none.", low=0, models=("mmali",)
    )
    reconstruction_weight: float = option(0.0, "Games: weight of |decode(encode(x)) - x|^2.", low=0, models=ADVERSARIAL)
    content_weight: float = option(
        0.0, "Games: weight of |encode(decode(z)) - z|^2 for shared codes.", low=0, models=ADVERSARIAL
    )
    style_weight: float = option(0.0, "Games: the same for private codes.", low=0, models=ADVERSARIAL)
    joint_reconstruction: bool = option(
        False,
        "Games: there and back by the geometric mean of all modalities' shared codes, not by each one's.",
        models=ADVERSARIAL,
    )
    alignment_form: str = option(
        "classes",
        "MMALI: discriminators of encoded and generated tuples, as in [C]'s release (classes) or in the paper (binary).",
        choices=("classes", "binary"),
        models=("mmali",),
    )
    average_decay: float = option(0.9999, "Games: decay of the weights' moving average.", low=0, high=1, models=ADVERSARIAL)
    average_start: int = option(
        50_000, "Games: step at which averaging starts; before it, it follows.", low=0, models=ADVERSARIAL
    )
    subset_posterior: str = option(
        "geometric",
        "Games: mean of the experts that a set of modalities has.",
        choices=("geometric", "arithmetic", "product"),
        models=ADVERSARIAL,
    )


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """How long, how fast, on what."""

    batch_size: int = option(256, "Examples per step, over all replicas.", low=1)
    microbatch: int = option(
        0,
        "VAEs: examples of a batch that a device works on at once, where a whole batch takes too much memory; 0 for all. The "
        "gradient is the whole batch's all the same; the other examples of --contrast are those of a microbatch.",
        low=0,
        may_change=True,
    )
    learning_rate: float = option(1e-3, "Adam's learning rate at the start.", above=0)
    adam_beta_1: float = option(0.9, "Adam's decay of the gradients' mean; games take 0.5.", low=0, high=0.999)
    learning_rate_schedule: str = option(
        "constant", "How the learning rate goes on: 'cosine' falls to 0 at the last step.", choices=("constant", "cosine")
    )
    epochs: int = option(50, "Passes over the training examples.", low=1, may_change=True)
    steps: int = option(0, "Training steps; 0 trains for --epochs instead.", low=0, may_change=True)
    max_seconds: float = option(
        0.0,
        "Stop at the end of the epoch in which so many seconds of training have passed; 0 for no limit.",
        low=0,
        may_change=True,
    )
    clock: str = option(
        "wall", "What --max_seconds counts: wall time, or cpu time of the process.", choices=("wall", "cpu"), may_change=True
    )
    steps_per_epoch: int = option(
        0, "Steps of an epoch, which a checkpoint ends; 0 for one pass over the examples, but at least 100.", low=0
    )
    precision: str = option(
        "float32",
        "Numbers that networks compute with in training: bfloat16 is faster where the processor multiplies it, and has 8 bits "
        "of precision. Weights, updates, codes' distributions and likelihoods stay float32, and so does everything after "
        "training.",
        choices=("float32", "bfloat16"),
    )
    seed: int = option(0, "Seed of initial weights, of the noise and of the order of the examples.", low=0)
    panels_every: int = option(5, "Epochs between image panels in TensorBoard; 0 for none.", low=0, may_change=True)
    coherence_every: int = option(
        0,
        "Epochs between measurements of coherence for TensorBoard; 0 for none. Trains the classifiers first.",
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
        "Epochs between embeddings for TensorBoard's projector; 0 for none. evaluate.py writes them anyway.",
        low=0,
        may_change=True,
    )
    profile_steps: str = option("", "First and last step of a profile for TensorBoard, such as '21,40'.", may_change=True)
    profiler_port: int = option(
        0, "Port at which a profile can be asked for while training goes on; 0 for none.", low=0, high=65535, may_change=True
    )
    checkpoint_every: int = option(
        0,
        "Steps between checkpoints, beside the one that ends each epoch, at the next end of an execution; 0 for none between.",
        low=0,
        may_change=True,
    )
    checkpoint_minutes: float = option(0.0, "The same by the clock: minutes since the last checkpoint.", low=0, may_change=True)
    keep_checkpoints: int = option(
        3, "How many of the latest checkpoints are kept, beside the best one.", low=1, may_change=True
    )
    validation_examples: int = option(
        0,
        "VAEs: training examples that are held out; their loss at the end of each epoch tells which checkpoint is the best. "
        "0 for none.",
        low=0,
        models=VAES,
    )
    deterministic: bool = option(
        False,
        "Promise the same bits again, also of a run that was killed and resumed, on the same software and hardware: takes "
        "deterministic kernels, and does without XLA and without rearranged sums.",
    )
    steps_per_execution: int = option(10, "Steps per call into TensorFlow's runtime.", low=1, may_change=True)
    strategy: str = option(
        "auto",
        "Devices: one; mirrored, all of this machine; multi_worker, those of all machines that TF_CONFIG names; tpu; or auto.",
        choices=STRATEGIES,
        may_change=True,
    )
    tpu: str = option(
        "", "Name of the TPU of --strategy=tpu, 'local' on a TPU VM; by default that of TPU_NAME.", may_change=True
    )


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
    """How a trained run, or a folder of samples, is judged; kept in metrics.json."""

    parts: str = option("all", "Parts of metrics.json to measure, such as 'probe,likelihood'; those that are there stay.")
    protocol: str = option(
        "corrected",
        "Which numbers the table and the report show where the papers' releases measure otherwise; metrics.json has both.",
        choices=("corrected", "published"),
    )
    test_examples: int = option(10_000, "Test examples used, from the start of the split.", low=20)
    probe_examples: int = option(5_000, "Training examples whose codes the linear probe is fitted on.", low=20)
    random_samples: int = option(10_000, "Samples from the prior for the random coherence.", low=1)
    likelihood_samples: int = option(
        12, "Importance samples K of the log-likelihoods of all test examples; as many as the papers' releases take.", low=1
    )
    likelihood_samples_many: int = option(1000, "The same for the first --likelihood_examples_many of them.", low=1)
    likelihood_examples_many: int = option(100, "Test examples whose log-likelihoods take many samples; 0 for none.", low=0)
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
        1_000, "Test examples among which a modality is looked for by the distance of codes.", low=2
    )
    retrieval_likelihood_candidates: int = option(
        50, "The same by likelihoods, which takes those of all pairs of them; 0 for none.", low=0
    )
    evaluation_seed: int = option(0, "Seed of sampled codes and of the coherence classifiers.", low=0)
    data_dir: str = option(
        "",
        "Folder with the data: of a run where it has moved since training, else the run's own --data_dir; of --samples as for "
        "training, by default MMTF_DATA_DIR.",
    )
    cache_dir: str = option("", "Where trained classifiers are kept; by default MMTF_CACHE_DIR or ~/.cache/mmtf.")

    def __post_init__(self):
        check_limits(self)
