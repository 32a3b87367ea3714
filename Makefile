# Everything a person does with this repository. `make help` lists the targets.
PYTHON ?= python3
PORT   ?= 8000
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

# One BLAS thread per process: parallelism comes from worker processes (measured faster here).
export OMP_NUM_THREADS = 1
export OPENBLAS_NUM_THREADS = 1
export MKL_NUM_THREADS = 1
export PYTHONHASHSEED = 0
export PYTHONUNBUFFERED = 1

.DEFAULT_GOAL := help
.PHONY: help setup book test lint unit notebooks site serve lab clean distclean lock

help:  ## list what can be made
	@echo "make book    set everything up and build the website"
	@echo "make test    set everything up and pass every check: style, types, contracts, tests, notebooks, site"
	@echo "make serve   show the built website at http://localhost:$(PORT) (PORT=... for another)"
	@echo "make lab     open the notebooks in JupyterLab"
	@echo "make clean   remove what was built (the site, caches); make distclean removes .venv too"
	@echo
	@echo "Parts of make test: make lint, make unit, make notebooks, make site."
	@echo "For maintainers: make setup (the environment alone), make lock (renew requirements.lock)."
	@echo "Settings: PYTHON=python3.12 (which interpreter), TORCH_INDEX=URL (package index with CPU builds of torch)."

setup:  ## create .venv from requirements.lock; quick when it is ready
	@$(PYTHON) .ci/setup.py

book: setup  ## build the website into _build/html, warnings as errors
	@$(BIN)/python .ci/timed.py "book" $(BIN)/python .ci/build_book.py

test: setup lint unit notebooks site  ## all checks
	@$(BIN)/python .ci/timed.py --done "All checks passed. Read the book with: make book && make serve"

lint: setup  ## style, notebooks without outputs, types, docstrings, import contracts
	@$(BIN)/python .ci/timed.py "lint: style" $(BIN)/ruff check .
	@$(BIN)/python .ci/timed.py "lint: format" $(BIN)/ruff format --check .
	@$(BIN)/python .ci/timed.py "lint: notebooks without outputs" $(BIN)/nbstripout --keep-id --verify notebooks/*.ipynb
	@$(BIN)/python .ci/timed.py "lint: types" $(BIN)/mypy
	@$(BIN)/python .ci/timed.py "lint: docstrings" $(BIN)/python .ci/check_docstrings.py
	@$(BIN)/python .ci/timed.py "lint: import contracts" $(BIN)/lint-imports --no-cache

unit: setup  ## the library's tests
	@$(BIN)/python .ci/timed.py "tests" $(BIN)/pytest -q -m "not site"

notebooks: setup  ## every notebook runs from top to bottom
	@$(BIN)/python .ci/timed.py "notebooks" $(BIN)/pytest -q --nbmake --nbmake-timeout=600 notebooks

site: setup  ## the built site in a real browser
	@$(BIN)/python .ci/timed.py "site in a browser" $(BIN)/pytest -q -m site

serve: setup  ## look at the built site
	@$(BIN)/python .ci/serve.py $(PORT)

lab: setup  ## run the notebooks
	@$(BIN)/jupyter lab --notebook-dir=.

clean:  ## remove what was built
	@rm -rf _build build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -not -path "./$(VENV)/*" -prune -exec rm -rf {} +
	@echo "Removed the site and the caches; the environment stays in $(VENV) (make distclean removes it)."

distclean: clean  ## remove the environment too
	@rm -rf $(VENV)
	@echo "Removed $(VENV)."

lock: setup  ## renew requirements.lock; torch's CUDA companions stay out: pip adds them where it needs them
	@$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --no-header \
	    --no-annotate --no-emit-index-url --no-emit-find-links -q -c requirements.lock $(LOCK_ARGS) \
	  | grep -v -E '^(nvidia-|cuda-|triton==)' > requirements.lock.new
	@mv requirements.lock.new requirements.lock
