# Two commands do everything on a fresh machine with Python 3.10 or newer and make:
#   make demo    what the override changes for an RTX 3060, without having one
#   make test    the tests that take up to 4 seconds each, on one release of torch
#   make test-slow  the others
#   make test-gpu  those that need a CUDA GPU; elsewhere they are skipped, with the reason
# TORCH="torch==2.9.1" make test takes another release; matrix takes them all, one by one.

PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0 triton==3.7.1
CELLS ?= 2.0.1 2.4.1 2.6.0 2.9.1 2.12.1 newest
DOORS ?= transformers accelerate lightning diffusers ray nbclient ipykernel
BIN := $(VENV)/bin
PURELIB := import sysconfig; print(sysconfig.get_path('purelib'))

.PHONY: coverage demo docs doors test test-slow test-gpu lint mutants package cells matrix table clean
.DELETE_ON_ERROR:

demo: $(VENV)/installed
	$(BIN)/inductor-override explain
	@echo "Of a model of your own: $(BIN)/inductor-override explain --module FILE.py:NAME --gpu NAME"

test: $(VENV)/installed
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

test-slow: $(VENV)/installed
	$(BIN)/python -m pytest -n 2 --dist loadfile -m slow

test-gpu: $(VENV)/installed
	$(BIN)/python -m pytest tests_gpu

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The guide as a site, in site/; a warning is an error.
docs: $(VENV)/installed
	$(BIN)/python -m pip install -q -e '.[docs]'
	$(BIN)/python -m mkdocs build --strict --quiet

# The examples of the guide that need other packages, which see those of $(VENV) too.
doors: .doors/installed
	PATH="$(CURDIR)/.doors/bin:$(CURDIR)/$(BIN):$$PATH" python -m pytest -n 2 --dist loadgroup tests_doors

# Changes the code in one place after another, and sees whether a test fails: half an hour.
mutants: $(VENV)/installed
	$(BIN)/python -m pip install -q -e '.[mutants]'
	$(BIN)/python tools/mutants.py

# Which lines no test runs, on any of the releases: 40 minutes. compat/uncovered.json says why.
coverage: $(VENV)/installed
	$(BIN)/python -m pip install -q -e '.[coverage]'
	rm -f .coverage .coverage.*
	$(BIN)/python -m coverage run -m pytest -n 2 --dist loadfile -k "not test_a_compile_child_lowers"
	$(BIN)/python tools/cells.py --coverage $(CELLS)
	$(BIN)/python -m coverage combine -q
	$(BIN)/python tools/uncovered.py

# Wheel and sdist, checked, and the wheel used in an empty environment.
package: $(VENV)/installed
	$(BIN)/python tools/package.py

# The releases where meaning changes, each in an environment that is deleted after its run (2.13 is
# what `make test` runs).
cells: $(VENV)/installed
	$(BIN)/python tools/cells.py $(CELLS)

# All releases; an interrupted run goes on with `make matrix MISSING=--missing`.
matrix: $(VENV)/installed
	$(BIN)/python tools/cells.py --all --record $(MISSING)
	$(BIN)/python tools/table.py

table: $(VENV)/installed
	$(BIN)/python tools/table.py

clean:
	rm -rf $(VENV) .cells .doors

# torch first and by itself: the package takes any torch from 2.0 on, and would take the newest.
$(VENV)/installed: pyproject.toml
	@echo "Once: $(TORCH) and the package go into $(VENV), a download of 0.3 to 3 GB by platform."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(TORCH) numpy setuptools
	$(BIN)/python -m pip install -q -e '.[test,lint,cells]'
	touch $@

.doors/installed: $(VENV)/installed
	$(BIN)/python -m venv --clear .doors
	echo "import site; site.addsitedir('$$($(BIN)/python -c "$(PURELIB)")')" \
	  > "$$(.doors/bin/python -c "$(PURELIB)")/base.pth"
	.doors/bin/python -m pip install -q $(DOORS)
	touch $@
