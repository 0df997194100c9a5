# `make demo` shows it, `make test` proves it, `make lint` reads it, `make bench` measures it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-done
PAGE := headroom/page/index.html

.PHONY: setup demo test lint audit bench soak lock clean
setup: $(STAMP) $(PAGE)

$(STAMP): requirements/lock.txt pyproject.toml deploy/setup.sh
	@PYTHON="$(PYTHON)" TORCH="$(TORCH)" bash deploy/setup.sh $(VENV)
	@touch $@

$(PAGE): $(shell find dashboard -type f -not -path '*/node_modules/*' -not -name schema.d.ts)
	@bash deploy/page.sh

demo: setup
	@$(BIN)/headroom demo $(ARGS)

test: setup
	@$(BIN)/python -m pytest -n auto $(ARGS)

lint: setup
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

# Known faults of what is locked, and static analysis. STRICT=1: also a failure where advisories cannot be had.
audit: setup
	@$(BIN)/python deploy/audit.py $(if $(STRICT),--strict)

bench: setup
	@$(BIN)/python -m benchmarks $(ARGS)

soak: setup
	@$(BIN)/python -m headroom.campaign --seconds $(or $(SECONDS),600) $(if $(LEDGER),--ledger $(LEDGER)) $(ARGS)

# Pins every dependency again; run it after a change of pyproject.toml. torch stays out: its wheels differ by machine.
lock:
	@uv pip compile pyproject.toml --extra dev --extra meters --extra traces --extra torch-needs --universal --generate-hashes \
	  --no-emit-index-url --no-header --python-version 3.11 -q -o requirements/lock.txt
	@uv pip compile pyproject.toml --extra build --extra meters --extra traces --universal --generate-hashes \
	  -c requirements/lock.txt --no-emit-index-url --no-header --python-version 3.11 -q -o requirements/service.txt

clean:
	rm -rf $(VENV) headroom/page dashboard/node_modules
