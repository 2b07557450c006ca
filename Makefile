# Every target makes the environment it needs. Options go in ARGS, for example
#   make reproduce-table1 ARGS="--data=/data/mvtec/leather --draws=5"
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
# Continuous integration installs what LOCK=requirements-ci.txt names, by hash; `make lock` makes the file anew.
LOCK ?=
BIN = $(VENV)/bin
ENV = $(VENV)/.installed

.PHONY: help reproduce-table1 reproduce-table2 reproduce-table3 reproduce-table8 reproduce-table9 reproduce-table10 \
	reproduce-table11 reproduce-table12 reproduce-table13 reproduce-livieris-table1 figures benchmark-backbones bench \
	notebooks readme docs test test-lowest walkthroughs torture audit lock lint clean

help:
	@echo "make reproduce-table1 | reproduce-table2 | reproduce-table3   tables of Senarathna and Wijesinghe (2025)"
	@echo "make reproduce-table8 ... reproduce-table13   tables of Takimoto et al. (2022); ARGS=--dry_run estimates the time"
	@echo "make reproduce-livieris-table1   Table 1 of Livieris et al. (2023)"
	@echo "make figures               the papers' figures: saliency, attention, Grad-CAM of pairs"
	@echo "make benchmark-backbones   size and speed of every backbone"
	@echo "make bench                 compares the speed ratios with the committed ones; 16 minutes on two AVX2 cores"
	@echo "make notebooks             runs the notebooks and keeps their output; synthetic images, 10 minutes"
	@echo "make readme                runs the commands and examples of README.md"
	@echo "make docs                  the documentation site, into docs/site"
	@echo "make test | walkthroughs   the tests; the slow ones: README, notebook, runtimes, tables"
	@echo "make test-lowest           the tests with the oldest versions of all packages that setup.cfg allows"
	@echo "make torture               attacks of all kinds, an hour; ARGS=--quick takes a minute"
	@echo "make audit | lock          known holes in what is installed, by pip-audit; the versions that CI installs, anew"
	@echo "make lint | clean          ruff and import contracts; remove the environment and cached runs"
	@echo 'Options: ARGS="--help" lists them.'

$(ENV): setup.cfg pyproject.toml
	$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else f"Expected Python 3.11 or newer. Received: {v[0]}.{v[1]}")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(if $(LOCK),$(BIN)/python -m pip install --quiet --require-hashes --requirement $(LOCK))
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

reproduce-table1 reproduce-table2 reproduce-table3: reproduce-table%: $(ENV)
	$(BIN)/python -m experiments.senarathna.table$* $(ARGS)

reproduce-table8 reproduce-table9 reproduce-table10 reproduce-table11 reproduce-table12 reproduce-table13: \
		reproduce-table%: $(ENV)
	$(BIN)/python -m experiments.takimoto.tables --table=$* $(ARGS)

reproduce-livieris-table1: $(ENV)
	$(BIN)/python -m experiments.livieris.table1 $(ARGS)

figures: $(ENV)
	$(BIN)/python -m experiments.senarathna.figures $(ARGS)
	$(BIN)/python -m experiments.takimoto.figures $(ARGS)
	$(BIN)/python -m experiments.livieris.figures $(ARGS)

benchmark-backbones: $(ENV)
	$(BIN)/python -m experiments.benchmark_backbones $(ARGS)

bench: $(ENV)
	$(BIN)/python -m experiments.benchmarks.speed --quick --against $(ARGS)

# Committed output shows synthetic images only, whatever data there is here.
notebooks: $(ENV)
	env -u FSAD_DATA_DIR $(BIN)/jupyter nbconvert --to notebook --inplace --execute \
		--ExecutePreprocessor.record_timing=False --ExecutePreprocessor.timeout=1200 \
		--ExecutePreprocessor.extra_arguments=--IPKernelApp.capture_fd_output=False $(or $(ARGS),notebooks/*.ipynb)

readme: $(ENV)
	$(BIN)/python -m pytest --slow tests/test_readme.py $(ARGS)

docs: $(ENV)
	$(BIN)/python docs/site.py

test: $(ENV)
	$(BIN)/python -m pytest -n 2 $(ARGS)

walkthroughs: $(ENV)
	$(BIN)/python -m pytest -n 2 --slow -m slow $(ARGS)

torture: $(ENV)
	$(BIN)/python -m experiments.torture $(ARGS)

# Tools in an environment of their own: they take other versions of what is installed.
$(VENV)/tools: $(ENV)
	$(PYTHON) -m venv $@
	$@/bin/python -m pip install --quiet 'pip-audit>=2.9' 'uv>=0.5'

# The oldest versions that setup.cfg allows, in an environment of their own.
test-lowest: $(VENV)/tools
	$(PYTHON) -m venv --clear $(VENV)/lowest
	$(VENV)/tools/bin/uv pip install --quiet --python $(VENV)/lowest/bin/python --resolution lowest-direct --editable '.[dev]'
	$(VENV)/lowest/bin/python -m pytest -n 2 $(ARGS)

audit: $(VENV)/tools
	$(VENV)/tools/bin/pip-audit --path "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
		--skip-editable --strict --progress-spinner off $(ARGS)

# uv does not look at which Python a version is too old for: backports-strenum 1.3 is for those before 3.11.
lock: $(VENV)/tools
	echo 'backports-strenum<1.3' | $(VENV)/tools/bin/uv pip compile setup.cfg --constraint /dev/stdin --extra dev \
		--python-version 3.11 --python-platform x86_64-manylinux_2_28 --generate-hashes --no-emit-index-url \
		--no-header --no-annotate --quiet --upgrade --output-file requirements-ci.txt

lint: $(ENV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) experiments/.cache *.egg-info .pytest_cache .ruff_cache .import_linter_cache
