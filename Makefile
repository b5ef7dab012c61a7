# `make help` lists the targets. State lives in PARC_HOME (default .parc/).
PYTHON ?= python3
PARC = .venv/bin/parc
IN_PARALLEL = -n 2 --dist loadfile --no-loadscope-reorder
SITE = $(abspath $(or $(PARC_HOME),.parc))/site
LOCKED = --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	--custom-compile-command "make lock"

.DEFAULT_GOAL := help
.PHONY: help setup run stop bi bi-export quick test coverage lint lint-python lint-sql soak bench bench-build bench-ingest bench-orchestration bench-switch nation docs plots sbom audit lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-20s %s\n", $$1, $$2}'

setup: .venv/ready ## Create the environment in .venv from the hashed lock

.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "$$($(PYTHON) --version) is not supported: make setup PYTHON=python3.11 (or 3.12, 3.13)"; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "python venv is missing; on Debian: apt-get install python3-venv"; exit 1; }
	@sed -n '/^uv==/,/^ *# via/p' requirements.lock > .venv/uv.txt
	@.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r .venv/uv.txt
	@.venv/bin/uv pip sync --quiet --compile-bytecode --require-hashes --python .venv/bin/python requirements.lock
	@.venv/bin/uv pip install --quiet --no-deps --no-build-isolation --python .venv/bin/python --editable .
	@touch $@

run: setup ## Start the platform and, unless PARC_LANDING is set, load fourteen simulated days
	@if [ -z "$$PARC_LANDING" ]; then $(PARC) demo; else $(PARC) up; fi

stop: ## Stop what `make run` started; `make run` resumes
	@$(PARC) stop

bi: .venv-bi/ready ## Start Superset with the dashboards of bi/ on the running platform; prints its logins
	@$(PARC) bi

bi-export: .venv-bi/ready ## Write what was changed in Superset's UI back to bi/assets
	@$(PARC) bi --export

.venv-bi/ready: .venv/ready bi/requirements.lock
	@.venv/bin/uv venv --quiet --clear --python '>=3.11,<3.13' .venv-bi
	@.venv/bin/uv pip sync --quiet --require-hashes --python .venv-bi/bin/python bi/requirements.lock
	@touch $@

quick: lint ## Check style and types, run the unit, golden and DAG tests and one small build (under three minutes)
	@.venv/bin/pytest $(IN_PARALLEL) tests/unit tests/dags \
		tests/integration/build/test_build.py::test_legs_and_totals_add_up

test: setup ## Run the tests (as root on Debian, installs Chromium, Kamailio, SIPp and sshd)
	@tests/install_tools.sh
	@.venv/bin/pytest $(IN_PARALLEL)

coverage: setup ## Run the tests and measure which lines and branches they reach (slower)
	@tests/install_tools.sh
	@.venv/bin/pytest $(IN_PARALLEL) --cov --cov-report term:skip-covered

lint: setup ## Check style and types
	@$(MAKE) --no-print-directory -j2 --output-sync=target lint-python lint-sql

lint-python:
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

lint-sql:
	@.venv/bin/sqlfluff lint --disable-progress-bar dbt_project
	@.venv/bin/sqlfluff lint --disable-progress-bar --templater placeholder expectations

soak: setup ## Run every test, including the long ones (sixty days, faults); prints figures
	@tests/install_tools.sh
	@.venv/bin/pytest -m "" -s

bench: bench-build bench-ingest bench-orchestration bench-switch ## Run every benchmark

bench-build: setup ## Measure the build of one more day on 30 and on 365 days of history (BENCH="--long N --scale S")
	@.venv/bin/python tests/bench/build.py $(BENCH)

nation: setup ## Load and build a national month, then one more night; prints refusals, warnings, seconds, GB and what each question takes (BENCH="--days N --scale S --year")
	@PYTHONPATH=tests .venv/bin/python tests/bench/nation.py $(BENCH)

bench-ingest: .venv-bench/ready ## Compare loading a national day with COPY, dlt and sling (BENCH="--rounds N --scale S")
	@.venv-bench/bin/python tests/bench/ingest.py $(BENCH)

bench-orchestration: .venv-bench/ready ## Measure what Airflow adds to dbt (options: BENCH="--runs 5", BENCH=--help)
	@.venv-bench/bin/python tests/bench/orchestration.py $(BENCH)

bench-switch: setup ## Compare a release to Kamailio with a bare COPY and reload (BENCH="--exceptions N")
	@.venv/bin/python tests/bench/switch.py $(BENCH)

.venv-bench/ready: .venv/ready requirements.lock tests/bench/requirements.txt
	@.venv/bin/uv venv --quiet --clear --python .venv/bin/python .venv-bench
	@.venv/bin/uv pip sync --quiet --compile-bytecode --require-hashes --python .venv-bench/bin/python \
		requirements.lock tests/bench/requirements.txt
	@.venv/bin/uv pip install --quiet --no-deps --no-build-isolation --python .venv-bench/bin/python --editable .
	@touch $@

docs: setup ## Write the generated pages from a platform that is up and built, then the site (PARC_HOME/site)
	@for page in feeds marts architecture decisions rights personal_data; do \
		.venv/bin/python docs/scripts/write_$$page.py || exit 1; done
	@$(PARC) docs
	@.venv/bin/sphinx-build -qW --keep-going -c docs . $(SITE)
	@cp $(SITE)/../dbt/docs/index.html $(SITE)/dbt.html
	@echo "open $(SITE)/docs/index.html"

plots: setup ## Draw a month of the simulated operator into docs/reference/
	@.venv/bin/python docs/scripts/plot_simulated_month.py

sbom: .venv-audit/ready ## Write sbom.cdx.json, the bill of materials (CycloneDX) of requirements.lock
	@.venv-audit/bin/python deploy/supply_chain/sbom.py requirements.lock sbom.cdx.json

audit: .venv-audit/ready ## Check the locked versions for known vulnerabilities; needs a network
	@.venv-audit/bin/python deploy/supply_chain/audit.py requirements.lock
	@.venv-audit/bin/python deploy/supply_chain/audit.py bi/requirements.lock

.venv-audit/ready: .venv/ready deploy/supply_chain/requirements.lock
	@.venv/bin/uv venv --quiet --clear --python .venv/bin/python .venv-audit
	@.venv/bin/uv pip sync --quiet --compile-bytecode --require-hashes --python .venv-audit/bin/python \
		deploy/supply_chain/requirements.lock
	@touch $@

lock: ## Resolve pyproject.toml into requirements.lock and those of the audit and of Superset (Python 3.11 to 3.13)
	@.venv/bin/uv pip compile $(LOCKED) --extra dev pyproject.toml -o requirements.lock
	@.venv/bin/uv pip compile $(LOCKED) --group audit -o deploy/supply_chain/requirements.lock
	@.venv/bin/uv pip compile $(LOCKED) --group bi --exclude-newer 2026-06-15 -o bi/requirements.lock

clean: ## Stop the platform; delete .venv and .parc with all data and the pseudonym key
	@test ! -x $(PARC) || $(PARC) stop
	@rm -rf .venv .venv-bench .venv-audit .venv-bi .parc
