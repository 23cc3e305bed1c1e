# Everything a person types. Each target makes the clone ready first (scripts/setup.sh, quick when nothing is missing).
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo test lint bench lock soak

NOX := .venv/bin/python -m nox -s

help: ## say what there is
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | while IFS="$$(printf '\t')" read -r name what; do printf '  make %-10s %s\n' "$$name" "$$what"; done

setup: ## install what Lateen needs to run: Python packages into .venv and, as root, missing Debian packages
	@scripts/setup.sh run

setup-dev: ## the same, with what its tests and linters need
	@scripts/setup.sh dev

demo: setup ## run Bookinfo on a mesh on this machine; Ctrl-C takes it down
	@exec .venv/bin/lateen demo bookinfo

test: setup-dev ## run every test
	@.venv/bin/python scripts/run_tests.py

lint: setup-dev ## check format, ruff, mypy --strict and the layering
	@$(NOX) lint types

soak: setup-dev ## ten minutes of load with certificates of 30 seconds and another authority in the middle
	@LATEEN_SOAK_SECONDS=600 $(NOX) soak

bench: setup-dev ## measure times and memory against their budgets, and print them
	@$(NOX) bench

lock: setup-dev ## write the lock files anew from pyproject.toml
	@$(NOX) lock
