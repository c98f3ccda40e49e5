"""scripts/report.py as a user runs it: the page of one run, curves over several, and mistakes."""

import pytest
from checkout import call

from mmtf.config import Config, ModelConfig, TrainConfig
from mmtf.runs import RunDirectory


def report(*arguments):
    return call("scripts/report.py", *arguments)


def evaluated(path, beta, seed=0):
    run = RunDirectory(path)
    run.write_json("config.json", Config(model=ModelConfig(beta=beta), train=TrainConfig(seed=seed)).to_json())
    run.write_json("training.json", {"steps": 1, "seconds": 2.0, "steps_per_second": 0.5})
    identity = {"model": "mmjsd", "dataset": "digits", "protocol": "corrected", "seed": seed}
    run.write_json("metrics.json", identity | {"probe": {"digit": beta / 10, "digit,word": 0.75}})
    run.figures.mkdir()
    return path


def test_the_page_is_made_from_what_is_there(tmp_path):
    path = evaluated(tmp_path / "run", 5.0)
    done = report(f"--run_dir={path}")
    assert (done.returncode, done.stdout) == (0, f"Page: {path / 'report.html'}\n"), done.stderr
    assert "mmjsd on digits" in (path / "report.html").read_text()


def test_curves_are_drawn_over_runs(tmp_path):
    paths = [evaluated(tmp_path / f"{beta}_{seed}", beta, seed) for beta in (1.0, 5.0) for seed in (0, 1)]
    output = tmp_path / "sweep.png"
    done = report(f"--runs={','.join(map(str, paths))}", "--over=beta", f"--output={output}")
    assert done.returncode == 0, done.stderr
    assert output.read_bytes().startswith(b"\x89PNG")
    done = report(f"--runs={paths[0]},{paths[1]}", "--over=beta", f"--output={output}")
    assert done.returncode == 2
    assert done.stderr == "error: --runs, --over=beta: All runs have beta=1; give runs with at least two values of it.\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "error: Give --run_dir for the page of one run, or --runs for curves over several."),
        (("--run_dir={}/a", "--runs={}/a,{}/b"), "error: Give --run_dir"),
        (("--run_dir={}/none",), "holds no run"),
        (("--run_dir={}/b",), "error: {}/b has no figures/"),
        (("--runs={}/a,{}/b", "--output=curves.jpg"), "error: --output=curves.jpg must end in .png."),
        (("--run_dir={}/a", "--over=beta"), "error: --over does nothing with --run_dir"),
        (("--runs={}/a,{}/b", "--output={}/no/folder.png"), "error: Cannot write --output={}/no/folder.png: No such file"),
        (("--runs={}/a,{}/b", "--entries=prd"), "None of prd was measured"),
    ],
)
def test_mistakes_get_a_sentence(tmp_path, arguments, message):
    evaluated(tmp_path / "a", 1.0)
    (evaluated(tmp_path / "b", 2.0) / "figures").rmdir()
    done = report(*(a.format(*[tmp_path] * 2) for a in arguments))
    assert (done.returncode, done.stdout) == (2, "")
    assert message.format(tmp_path) in done.stderr
