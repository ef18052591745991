# Everything runs without root and installs nothing on the machine: .venv and .cache hold it all. Only test-image, where
# there is no Docker yet, needs root and installs one.

PYTHON ?= python3
BIN := .venv/bin
NAME := triton-bridge
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' bridge/__init__.py)
export PYTHON
# Half of the time tests wait for real servers: one file more at a time than there are cores, those that wait most first.
AT_ONCE = -n $(shell expr $$(nproc) + 1) --dist loadfile --no-loadscope-reorder

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

.PHONY: demo
demo: .venv/.runtime tools-ready ## real Triton, real Prometheus, the bridge, and what arrives; KEEP=1 keeps running
	@$(BIN)/python -m examples.demo $(if $(KEEP),--keep)

.PHONY: test
test: .venv/.dev tools-ready ## unit, flow and live tests (PYTEST_ARGS="-k reset" for some)
	@$(BIN)/python -m pytest $(AT_ONCE) $(PYTEST_ARGS)

.PHONY: test-image
test-image: .venv/.dev tools-ready ## tests of the containers, with a real Docker engine (PYTEST_ARGS="-k stop" for some)
	@$(BIN)/python -m pytest tests/image -n 2 --dist loadfile -o faulthandler_timeout=900 $(PYTEST_ARGS)

.PHONY: image
image: ## build both images (NAME=…, VERSION=…; ./build.sh --help says more)
	@./build.sh $(NAME) $(VERSION)

.PHONY: check
check: .venv/.dev ## ruff, mypy strict, import directions, Prometheus' configuration
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	"$$(tools/prometheus.sh)"/promtool check config prometheus/prometheus.yml

.PHONY: check-kql
check-kql: .venv/.dev ## queries for Azure, by Microsoft's own parser (fetched from npm)
	@$(BIN)/python -m pytest tests/kql $(PYTEST_ARGS)

.PHONY: test-browser
test-browser: .venv/.dev ## the status page in Debian's Chromium: every state, phone and desk, axe-core; pictures in build
	@$(BIN)/python -m pytest tests/browser -n 2 $(PYTEST_ARGS)

.PHONY: bench
bench: .venv/.dev ## cost of a point, beside the exporter's own export(), and of the repair of an outage
	@$(BIN)/python -m bench.points
	@$(BIN)/python -m bench.outage

.PHONY: setup
setup: .venv/.dev tools-ready ## fetch all that the other targets need

.PHONY: clean
clean: ## remove .venv, .cache and what tools left behind
	@tools/docker.sh stop
	rm -rf .venv .cache build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

.PHONY: tools-ready
tools-ready: | .venv/.runtime
	@tools/prometheus.sh > /dev/null
	@tools/triton.sh > /dev/null

.venv/.runtime: requirements/runtime.txt pyproject.toml
	@echo "setting up .venv (once)"
	@tools/venv.sh .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/runtime.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

.venv/.dev: requirements/dev.txt .venv/.runtime
	@echo "adding the test tools to .venv (once)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@
