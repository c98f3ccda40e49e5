"""Flags, dataclasses and JSON are one thing; contradictions are refused."""

import dataclasses
import json

import pytest
from absl import flags

from mmtf import config
from mmtf.config import Config, DataConfig, EvaluateConfig, ModelConfig, TrainConfig
from mmtf.config.names import DATASETS, MODELS
from mmtf.errors import UserError


def parse(*arguments, concerns=config.TRAINING):
    values = flags.FlagValues()
    config.define_flags(concerns, values)
    # --flagfile and --undefok belong to every flag holder of absl.
    flags.DEFINE_string("flagfile", "", "", flag_values=values)
    values(["program", *arguments])
    return values


def test_defaults_are_the_papers():
    """[S] C.3.2."""
    found = Config()
    assert (found.model.beta, found.model.shared_dim, found.train.batch_size, found.train.learning_rate) == (5, 20, 256, 1e-3)
    assert found.train.epochs == 50


@pytest.mark.parametrize(
    ("model", "dataset"),
    [
        ("mvae", "multimnist"), ("mmjsd", "cub"), ("mmali", "celeba"), ("mmali_joint", "digits"), ("mmvae_iw", "digits"),
        ("jmvae", "digits"),
    ],
)  # fmt: skip
def test_every_field_has_a_flag_and_reaches_the_config(model, dataset):
    family, microbatch = "laplace" if model == "mmvae_iw" else "normal", 0 if model.startswith("mmali") else 16
    other = {
        "dataset": dataset, "data_dir": "folder", "download": True, "data_fraction": 0.5, "unpaired_pools": True,
        "image_features": "classes", "features_dir": "elsewhere", "skip_damaged": True, "modalities": "a,b",
        "model": model, "learning_rate_schedule": "cosine", "strategy": "one", "adam_beta_1": 0.5, "tpu": "local",
        "adam_form": "keras",
        "private_weights": "word=5", "likelihood_weights": "word=2", "private_beta_start": 7.0, "beta_start": 3.0,
        "prior_weight": 0.5, "mvae_subsets": 1, "average_decay": 0.5, "joint_reconstruction": True,
        "alignment_form": "binary", "subset_posterior": "arithmetic", "contrast": "cubo", "microbatch": microbatch,
        "posterior_family": family, "importance_bound": "tight", "gradient_estimator": "stl", "clock": "cpu",
        "quirks": "log_softmax_as_probabilities", "contrast_trains": "decoders", "deterministic": True, "profile_steps": "1,2",
        "precision": "bfloat16", "plugin": "own.py",
        "epochs": 50,  # with --steps, only the default is accepted
        "unimodal_form": "classes",  # likewise with --alignment_form=binary
    }  # fmt: skip
    given, expected = [], {}
    for concern in (DATASETS.options_of(dataset), MODELS.options_of(model), config.TrainConfig):
        for field in dataclasses.fields(concern):
            # The loss of an adversarial model tells no checkpoint from another.
            used = field.name != "validation_examples" or not model.startswith("mmali")
            if used:
                expected[field.name] = other[field.name] if field.name in other else (field.default or 0) + 2
                given.append(f"--{field.name}={expected[field.name]}")
            else:
                expected[field.name] = field.default
    found = config.from_flags(parse(*given))
    assert {k: v for part in found.to_json().values() for k, v in part.items()} == expected


def test_json_round_trip():
    found = Config(DataConfig(pairings=3), ModelConfig(private_dim=4, prior_weight=0.1), TrainConfig(seed=7))
    assert Config.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_flagfile(tmp_path):
    file = tmp_path / "run.cfg"
    file.write_text("# a comment\n--model=mmvae\n--beta=2.5\n")
    found = config.from_flags(parse(f"--flagfile={file}", "--beta=3"))
    assert (found.model.model, found.model.beta) == ("mmvae", 3.0)


def test_unknown_flag_is_an_error():
    with pytest.raises(flags.UnrecognizedFlagError, match="batch_sizes"):
        parse("--batch_sizes=3")


def test_unknown_key_in_json_is_an_error():
    with pytest.raises(UserError, match=r"model\.gamma"):
        Config.from_json({"model": {"gamma": 2}})
    with pytest.raises(UserError, match="optimizer"):
        Config.from_json({"optimizer": {}})
    for broken in ([], None, {"model": None}):
        with pytest.raises(UserError, match="object of objects"):
            Config.from_json(broken)
    for broken in ({"shared_dim": "20"}, {"shared_dim": 2.5}, {"beta": True}, {"model": 3}):
        with pytest.raises(UserError, match="must be of type"):
            Config.from_json({"model": broken})
    for broken in ({"download": 1}, {"download": "yes"}, {"pairings": True}):
        with pytest.raises(UserError, match="must be of type"):
            Config.from_json({"data": broken})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset=celeba", "--pairings=3"], "--pairings does nothing for --dataset=celeba; it belongs to digits"),
        (["--dataset=arrays", "--unpaired_pools"], "--unpaired_pools does nothing for --dataset=arrays"),
        (["--num_modalities=3"], "--num_modalities does nothing for --dataset=digits; it belongs to multimnist"),
        (["--skip_damaged"], "--skip_damaged does nothing for --dataset=digits; it belongs to celeba, cub"),
        (["--dataset=celeba", "--image_features=classes"], "--image_features does nothing for --dataset=celeba"),
        (["--dataset=multimnist", "--num_modalities=5"], "--num_modalities must be at most 4, not 5"),
        (["--data_fraction=0"], "--data_fraction must be greater than 0, not 0"),
    ],
)
def test_an_option_of_another_data_set_is_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        config.from_flags(parse(*arguments))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shared_dim=0"], "--shared_dim must be at least 1, not 0"),
        (["--learning_rate=0"], "--learning_rate must be greater than 0"),
        (["--beta=-1"], "--beta must be at least 0"),
        (["--beta=nan"], "--beta must be a finite number"),
        (["--prior_weight=1"], "--prior_weight must be at most"),
        (["--prior_weight=0"], "--prior_weight must be greater than 0"),
        (["--model=mmvae", "--prior_weight=0.3"], "--prior_weight does nothing for --model=mmvae"),
        (["--model=mmjsd", "--mvae_subsets=2"], "--mvae_subsets does nothing for --model=mmjsd"),
        (["--private_beta=3"], "--private_beta does nothing with --private_dim=0"),
        (["--private_weights=word=5"], "--private_weights does nothing"),
        (["--warmup_steps=10"], "--warmup_steps does nothing without"),
        (["--clock=cpu"], "--clock=cpu does nothing without --max_seconds"),
        (["--steps=10", "--epochs=3"], "--steps and --epochs both say how long"),
        (["--beta_start=0"], "--beta_start does nothing without --warmup_steps"),
        (["--model=jmvae", "--alpha_start=0"], "--alpha_start does nothing without --warmup_steps"),
        (["--model=mvae", "--alpha_start=0"], "--alpha_start does nothing for --model=mvae; it belongs to jmvae"),
        (["--model=mmvae_iw", "--importance_samples=0"], "--importance_samples must be at least 1, not 0"),
        (["--quirks=text"], "--quirks names 'text', but there are log_softmax_as_probabilities, unit_weights_of_single_bounds"),
        (["--quirks=unit_weights_of_single_bounds"], "does nothing for --model=mmjsd; it belongs to mvae"),
        (["--model=mvae", "--quirks=raw_experts_of_single_bounds", "--importance_samples=3"], "is of closed divergences"),
        (["--model=mmali", "--quirks=x"], "--quirks does nothing for --model=mmali"),
        (["--importance_samples=3"], "--importance_samples does nothing for --model=mmjsd without --contrast"),
        (["--model=mvae", "--gradient_estimator=dreg"], "--gradient_estimator does nothing for --model=mvae"),
        (["--model=mmali", "--contrast=iwae"], "--contrast does nothing for --model=mmali; it belongs to mmjsd"),
        (["--contrast_negatives=3"], "--contrast_negatives does nothing without --contrast"),
        (["--contrast_gamma=3"], "--contrast_gamma does nothing without --contrast"),
        (["--contrast_trains=decoders"], "--contrast_trains does nothing without --contrast"),
        (["--contrast=cubo", "--contrast_negatives=256"], "must come from a batch, but --batch_size is 256"),
        (["--contrast=cubo", "--microbatch=4"], "must come from a batch, but --microbatch is 4"),
        (
            ["--model=mvae", "--posterior_family=laplace"],
            "--posterior_family does nothing for --model=mvae; it belongs to mmvae_iw",
        ),
        (["--model=mmali", "--private_dim=2", "--microbatch=4"], "--microbatch does nothing for --model=mmali"),
    ],
)
def test_contradictions_are_refused(arguments, message):
    with pytest.raises(UserError, match=message.replace("(", r"\(")):
        config.from_flags(parse(*arguments))


def test_evaluation_flags():
    values = parse("--test_examples=50", concerns=[EvaluateConfig])
    assert config.read_flags(EvaluateConfig, values).test_examples == 50
    with pytest.raises(UserError, match="--test_examples must be at least"):
        EvaluateConfig(test_examples=0)


def test_named_numbers():
    names = ("digit", "word")
    assert config.named_numbers("word=5, digit=0.5", "private_weights", names) == {"word": 5.0, "digit": 0.5}
    assert config.named_numbers("", "private_weights", names) == {}
    for text, message in [
        ("word", "name=number"),
        ("ward=5", "names 'ward'"),
        ("word=-1", "positive"),
        ("word=inf", "positive"),
    ]:
        with pytest.raises(UserError, match=message):
            config.named_numbers(text, "private_weights", names)


def test_differences_name_the_flags():
    found = config.differences(Config(), Config(model=ModelConfig(beta=2.0), train=TrainConfig(epochs=3)))
    assert found == ["--beta was 5.0 and is 2.0", "--epochs was 50 and is 3"]
