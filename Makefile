# The developer's targets. Each sets up the virtual environment by itself the first time.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test docs gpu fuzz check format bench clean

help:  ## print this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: $(READY)  ## make .venv with lowshot and everything for development

demo: $(READY)  ## a recogniser from a few pictures, then all stages on the embedded data set: report in runs/glyphs/report
	$(BIN)/lowshot demo

test: $(READY)  ## all tests, one file per core at a time
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist loadfile

docs: $(READY)  ## the documentation site in build/site, opened from there without a server; warnings are errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

gpu: $(READY)  ## the tests of tests/devices on a real GPU; skipped, with the reason, where there is none
	$(BIN)/python -m pytest -q -rs -m gpu tests/devices

fuzz: $(READY)  ## 10 000 damaged files of every format (about an hour on two cores)
	LOWSHOT_FUZZ_INPUTS=10000 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto tests/fuzz

check: $(READY)  ## check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)  ## let ruff fix style and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)  ## all benchmarks, each against its plain baseline (about a quarter of an hour)
	@for file in benchmarks/[a-z]*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

clean:  ## remove caches and builds, but neither .venv nor runs
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist src/*.egg-info
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "lowshot needs Python 3.11 or newer; set PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet -c constraints.txt --group dev -e '.[tensorboard,ray,onnx,hub,openvino,check,parquet,serve]'
	@touch $@
