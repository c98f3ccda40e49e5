# Two commands do everything on a fresh machine: `make quickstart` and `make test`. Each makes .venv if it is not there.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(shell date +%Y%m%d-%H%M%S)
# A new directory each time: a run is never overwritten.
RUN ?= runs/quickstart-$(STAMP)
EXPORT ?= saved_models/quickstart
# Every part of the evaluation, of fewer samples and candidates than by default.
SOONER := --random_samples=2000 --quality_samples=1500 --likelihood_examples_many=10 --retrieval_likelihood_candidates=10
# Processes that test; each takes a core and up to 3 GB, up to 6 GB in test-slow.
WORKERS ?= 2
# Flags of make benchmark, such as BENCHMARK=--part=quality.
BENCHMARK ?=

.PHONY: quickstart test test-slow lint benchmark docs clean

quickstart: $(VENV)/.installed
	$(BIN)/mmtf train --flagfile=quickstart.cfg --run_dir=$(RUN)
	$(BIN)/mmtf evaluate --run_dir=$(RUN) $(SOONER)
	$(BIN)/mmtf export --run_dir=$(RUN) --export_dir=$(EXPORT)
	@echo
	@echo "Pictures and numbers: open $(RUN)/report.html in a browser."
	@echo "Training in TensorBoard: $(BIN)/tensorboard --logdir=$(RUN)/logs"
	@echo "Your own data, one NAME.npy a modality in FOLDER: $(BIN)/mmtf train --dataset=arrays --data_dir=FOLDER --run_dir=runs/own (docs/data.md)"

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not slow" tests

# What takes minutes: see the marker in pyproject.toml.
test-slow: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m slow tests

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

benchmark: $(VENV)/.installed-bench
	$(BIN)/python scripts/benchmark.py $(BENCHMARK)

docs: $(VENV)/.installed-docs
	$(BIN)/mkdocs build --strict --site-dir build/site

$(VENV)/.installed: setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.installed-%: setup.py $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info
