# Every target sets itself up from Python 3.11 and make alone.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup demo test check slow coverage docs sabotage up down clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@echo "Setting up $(VENV): a few minutes, once."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,docs,scale]'
	touch $(READY)

demo: setup
	$(BIN)/veilcast demo

test: setup
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile -m "not slow and not stack"

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile -m "not slow and not stack"

slow: setup
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile -m "slow or stack"

coverage: setup
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile -m "not slow and not stack" --cov

docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

sabotage: setup
	$(BIN)/python tests/sabotage/run.py

up: setup
	$(BIN)/veilcast stack up

down: setup
	$(BIN)/veilcast stack down

clean:
	rm -rf $(VENV) var .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage dist site
