# Each target sets up .venv by itself; the only needs are Python >= 3.11 and make.
PYTHON ?= python3
MEDIA ?=
CONFIG ?=
RECIPE ?= demo-workspace/demo.toml
JOBS ?= 2
SEEDS ?= 1
VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test check lint format types schemas docs bench pretrain pretrain-proof annotate test-annotate clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  make \1\t/' | expand -t 22

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "valor-data needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || [ "$$(id -u)" != 0 ] || \
	  { apt-get update -qq && apt-get install -y -qq python3-venv; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "this Python has no venv: apt-get install python3-venv"; exit 2; }
	$(PYTHON) -m venv $(VENV)

# One stamp for those who use it, one for those who work on it.
$(VENV)/.ready: pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e .
	@touch $@
$(VENV)/.ready-dev: pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e '.[dev]'
	@touch $@ $(VENV)/.ready

$(VENV)/.ready-train: $(VENV)/.ready
	$(BIN)/pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e '.[train,hf]'
	@touch $@

$(VENV)/.ready-annotate: $(VENV)/.ready-dev
	$(BIN)/pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e '.[annotate,text]' playwright
	@touch $@

demo: $(VENV)/.ready  ## the whole chain on rendered footage; MEDIA=<folder> takes your own videos
	$(BIN)/python -m valor_data.demo $(if $(MEDIA),--media '$(MEDIA)')

test: $(VENV)/.ready-dev  ## all tests, JOBS=2 at a time, the slow ones first
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder \
	  tests/e2e tests/ratchets tests/doors tests/train tests/unit

check: lint types  ## everything that reads the code and changes nothing

lint: $(VENV)/.ready-dev  ## ruff, import floors, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/python -m tests.ratchets.generate --check

format: $(VENV)/.ready-dev  ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.ready-dev  ## mypy, strict
	$(BIN)/mypy

schemas: $(VENV)/.ready-dev  ## write schemas/ anew from the records
	$(BIN)/python -m tests.ratchets.generate schemas

docs: $(VENV)/.ready-dev  ## write docs/cli.md anew from the commands
	$(BIN)/python -m tests.ratchets.generate docs

bench: $(VENV)/.ready-dev  ## all benchmarks but the rehearsal (an hour, 20 GB); each prints ratios taken in one run
	@for file in $(filter-out benchmarks/rehearsal.py,$(wildcard benchmarks/*.py)); do echo "== $$file"; $(BIN)/python $$file || exit 1; done

pretrain: $(VENV)/.ready-train  ## the trainer: CONFIG=<toml>; else the GPU baseline, or a tiny model on a CPU
	@if [ -n '$(CONFIG)' ]; then set -- '$(CONFIG)'; \
	elif $(BIN)/python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then \
	  set -- pipelines/pretrain-base.toml; \
	else \
	  echo 'no GPU here: a tiny model on the demo, in place of the baseline (pipelines/pretrain-base.toml)'; \
	  [ -d demo-workspace/workspace/releases/demo-0.1.0 ] || $(BIN)/python -m valor_data.demo; \
	  set -- pipelines/pretrain-tiny.toml; \
	fi; $(BIN)/valor-data pretrain "$$1"

pretrain-proof: $(VENV)/.ready-train  ## rendered clips, a tiny model, and a table of what it learned; SEEDS=3
	$(BIN)/python -m valor_data.demo.proof --seeds $(SEEDS)

annotate: $(VENV)/.ready-annotate  ## Label Studio for the demo's clips; RECIPE=<file> for your own
	$(BIN)/valor-data annotate serve '$(RECIPE)'

test-annotate: $(VENV)/.ready-annotate  ## annotators in a real Label Studio and a real browser
	$(BIN)/python -c 'from valor_data.labelstudio import server; server.install(server.default_venv())'
	@command -v chromium >/dev/null || [ "$$(id -u)" != 0 ] || \
	  { apt-get update -qq && apt-get install -y -qq chromium; }
	$(BIN)/python -m pytest tests/annotate

clean:  ## remove .venv, caches and the demo's workspace
	rm -rf $(VENV) demo-workspace dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
