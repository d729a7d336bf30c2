# Every target makes its own environment; only Python 3.11+ and make are needed.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready-$(shell cat setup.cfg constraints.txt 2>/dev/null | cksum | cut -d' ' -f1)
# Tools that look at the packages and are none of them.
SUPPLY := .venv/supply

.DEFAULT_GOAL := help
.PHONY: help demo showcase up test check types lint fix bench fuzz conformance prove chaos mutants migrate lock sbom

help: ## Show these targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(STAMP): setup.cfg constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3"; exit 1; }
	@[ -x $(BIN)/python ] || { echo "Making .venv ..."; $(PYTHON) -m venv .venv; }
	@echo "Installing the pinned packages ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@rm -f .venv/.ready-*; touch $@

demo: $(STAMP) ## Run the main job to its end on embedded services (fresh data folder)
	@$(BIN)/python -m ops demo

showcase: $(STAMP) ## Play the showcase of coupons on the demo stack that runs here, or on one of its own
	@$(BIN)/python -m ops showcase

up: $(STAMP) ## Serve the whole stack until Ctrl-C
	@$(BIN)/python -m ops up

check: $(STAMP) ## Lint, types, layers, and what is known against our packages
	@$(MAKE) --no-print-directory -j2 types lint

types:
	@$(BIN)/mypy

lint:
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports
	@$(BIN)/bandit -q -c bandit.yaml -r models pipelines web workers ops
	@$(BIN)/python -m tests.supply

$(SUPPLY): Makefile
	@$(PYTHON) -m venv $(SUPPLY)
	@$(SUPPLY)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt pip-tools==7.6.2 cyclonedx-bom==7.5.0
	@touch $@

lock: $(SUPPLY) ## Write requirements.txt: what the image installs, with the hashes of all its files
	@$(SUPPLY)/bin/pip-compile --quiet --generate-hashes --build-deps-for editable --allow-unsafe --strip-extras \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links --no-emit-options --no-emit-trusted-host \
		-c constraints.txt -o requirements.txt setup.cfg

sbom: $(SUPPLY) ## Write the image's list of packages to SBOM=sbom.json (CycloneDX)
	@$(SUPPLY)/bin/cyclonedx-py requirements --output-reproducible --of JSON -o $(or $(SBOM),sbom.json) requirements.txt

fix: $(STAMP) ## Mend what the linter can mend
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

test: check ## Check, then run every test on real PostgreSQL, Valkey and worker processes
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

fuzz: $(STAMP) ## Ask the API, the uploads and the ledger EXAMPLES=200 strange things each
	@EXAMPLES=$(or $(EXAMPLES),200) $(BIN)/python -m pytest tests/security/test_api_contract.py tests/bad_inputs/test_fuzzed.py tests/pipelines/test_ledger_machine.py $(ARGS)

conformance: $(STAMP) ## Hold the adapter of VENDOR=reloadly against that vendor's own sandbox (docs/vendors.md)
	@CONFORMANCE_VENDOR=$(or $(VENDOR),reloadly) $(BIN)/python -m pytest -n 0 -rs tests/providers/conformance $(ARGS)

prove: $(STAMP) ## Check the invariants on the running stack's data
	@$(BIN)/python -m ops prove

chaos: $(STAMP) ## Break real processes in the middle of real jobs and print a table
	@$(BIN)/python -m tests.chaos $(ARGS)

soak: $(STAMP) ## Submit jobs and break things at random for MINUTES=5, to an exact end
	@$(BIN)/python -m tests.chaos.soak --minutes $(or $(MINUTES),5) $(ARGS)

mutants: $(STAMP) ## Break one rule at a time and see that its tests notice
	@$(BIN)/python -m tests.mutants

bench: $(STAMP) ## Measure ratios against the bare limits in the same run
	@$(BIN)/python -m tests.bench $(ARGS)

migrate: $(STAMP) ## Bring the database of DATABASE_OWNER_URL to the newest schema
	@$(BIN)/python -m ops migrate
