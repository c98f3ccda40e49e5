# Two commands do everything on a fresh machine: `make quickstart` and `make test`. Each makes .venv if it is not there.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(shell date +%Y%m%d-%H%M%S)
# A new directory each time: a run is never overwritten.
RUN ?= runs/quickstart-$(STAMP)
EXPORT ?= saved_models/quickstart
.PHONY: quickstart test test-slow lint benchmark docs clean

quickstart: $(VENV)/.installed
	$(BIN)/python scripts/train.py --flagfile=configs/quickstart.cfg --run_dir=$(RUN)
	$(BIN)/python scripts/evaluate.py --run_dir=$(RUN)
	$(BIN)/python scripts/export.py --run_dir=$(RUN) --export_dir=$(EXPORT)

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow" tests

# What takes minutes: see the marker in pyproject.toml.
test-slow: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n 2 --dist loadfile -m slow tests

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

benchmark: $(VENV)/.installed-bench
	$(BIN)/python scripts/benchmark.py

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
