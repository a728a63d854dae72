# The verbs of this project. `make help` lists them.

VENV := .venv
BIN := $(VENV)/bin
# The first Python here that is new enough. Tried by running it: a version manager's shim may be there for one that is not.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
# A system's ffmpeg of version 6 or newer is used; without one, the package that brings one along is installed.
FFMPEG_EXTRA = $(shell v=$$(ffmpeg -version 2>/dev/null | sed -n 's/^ffmpeg version n\{0,1\}\([0-9]*\)\..*/\1/p'); \
	[ "$${v:-0}" -ge 6 ] || echo ,ffmpeg)
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install dev demo test lint check live slow bench bench-peers bench-stalls bench-waiters bench-workers crash crash-origin random fuzz fuzz-ingest soak soak-origin republish mutants differential signers manifests players clients format docs clean

help:  ## List the verbs
	@awk -F ':.*## +' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.installed  ## Make .venv with cdnlab in it (and an ffmpeg, if the system's is missing or old)

dev: $(VENV)/.dev  ## The same, and what the tests need

demo: install  ## A live stream, a shield, two edges, a hundred viewers, a report
	@$(BIN)/cdnlab demo

# Two at a time, a file beside a file; one that hangs is ended after four minutes, with the run, and its stacks are shown before.
test: dev  ## All tests but the slow ones (those of the shared tier want a redis-server)
	$(BIN)/pytest -m "not slow" --numprocesses 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0 \
		-o faulthandler_timeout=230

lint: dev  ## Format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint  ## The same, and the fast tests
	$(BIN)/pytest -m "not live and not long and not slow"

live: dev  ## The tests that start ffmpeg and whole clusters
	$(BIN)/pytest -m "live and not slow"

slow: dev  ## The tests that take minutes
	$(BIN)/pytest -m slow --timeout 600

bench: dev  ## Benchmarks, beside the last run on this machine
	$(BIN)/pytest tests/bench -o addopts="-q --strict-markers" --benchmark-only --benchmark-autosave \
		$$(ls .benchmarks/*/*.json >/dev/null 2>&1 && echo --benchmark-compare)

bench-peers: dev  ## Our edge beside nginx, Varnish and Traffic Server; half an hour, or a minute or two with PEERS=--quick
	$(BIN)/python -m tests.bench.peers $(PEERS)

bench-stalls: dev  ## The longest stalls of a client while a node fills up to 100,000, evicts, and purges; three minutes (STALLS="--beside COMMIT")
	$(BIN)/python -m tests.bench.stalls $(STALLS)

bench-waiters: dev  ## What requests that wait for one fill cost a node: 1,000 and 10,000; a minute (WAITERS="1000 --size 500000 --pieces 8")
	$(BIN)/python -m tests.bench.waiters $(WAITERS)

bench-workers: dev  ## A node of one, two and three processes: hits, misses and memory; ten minutes
	$(BIN)/python -m tests.bench.workers

crash: dev  ## kill -9 of a node with a disk store in mid-fill, a hundred times
	$(BIN)/pytest tests/real/stores/test_crash.py -m slow -s --timeout 900

random: dev  ## Every property with examples that no run has drawn before, ten times over (ROUNDS=1 for once)
	for round in $$(seq $${ROUNDS:-10}); do $(BIN)/pytest $$(grep -rl "from hypothesis" tests --include='test_*.py') \
		-m "hypothesis and not slow" --hypothesis-profile random --timeout 600 || exit; done

crash-origin: dev  ## kill -9 of an origin in mid-stream, fifty times with each storage, while HLS, LL-HLS and DASH are watched
	$(BIN)/pytest tests/real/origin/test_crash.py -m slow -s --timeout 1800

fuzz: dev  ## Random lives and bytes for ten minutes (FUZZ_SECONDS=60 for one)
	$(BIN)/python -m tests.random.fuzz --seconds $${FUZZ_SECONDS:-600}

fuzz-ingest: dev  ## Random ingest requests for ten minutes (FUZZ_SECONDS=60 for one)
	$(BIN)/python -m tests.random.ingest --seconds $${FUZZ_SECONDS:-600}

soak: dev  ## The demo's cluster under viewers and faults for ten minutes (SOAK_SECONDS=20 for a short one)
	$(BIN)/python -m tests.soak --seconds $${SOAK_SECONDS:-600}

soak-origin: dev  ## The origin's streams watched in every format, with encoders and origin killed, for ten minutes (SOAK_SECONDS=60)
	$(BIN)/python -m tests.soak.origin --seconds $${SOAK_SECONDS:-600}

republish: dev  ## What 50 streams of four rungs and sound cost the origin, in real time; and 2,000 waiting requests
	$(BIN)/python -m tests.soak.origin.republish
	$(BIN)/python -m tests.soak.origin.wake

mutants: dev  ## Would the tests notice? Small faults in a copy of the source, tried one at a time (SEED=7 NUMBER=50)
	nice -n 10 $(BIN)/python -m tests.mutants --seed $${SEED:-1} --number $${NUMBER:-20}

differential: dev  ## The same scripts through a real nginx, a real Varnish and our edge
	$(BIN)/pytest tests/outside/differential -m "slow or not slow" --timeout 600

signers: dev  ## Tokens by the vendors' own JavaScript signers, which npm installs
	npm install --prefix tests/outside/signers --no-audit --no-fund --no-package-lock
	$(BIN)/pytest tests/outside/signers -m slow

manifests: dev  ## Playlists and DASH manifests by the readers of Video.js, which npm installs
	npm install --prefix tests/outside/manifests --no-audit --no-fund --no-package-lock
	$(BIN)/pytest tests/outside/manifests -m slow

players: dev  ## hls.js, Shaka Player, Video.js and dash.js, which npm installs, in a Chromium; streamlink, mpv, GStreamer; `make test` then runs them, too
	$(BIN)/python -m venv tests/outside/players/.venv && tests/outside/players/.venv/bin/python -m pip install --quiet streamlink==8.6.3
	npm install --prefix tests/outside/players --ignore-scripts --no-audit --no-fund --no-package-lock
	$(BIN)/pytest tests/outside/players -rs

clients: dev  ## The vendors' command lines, from PyPI and npm, against the control API
	$(BIN)/python -m venv tests/outside/clients/.venv && tests/outside/clients/.venv/bin/python -m pip install --quiet awscli==1.46.3
	npm install --prefix tests/outside/clients --ignore-scripts --no-audit --no-fund --no-package-lock
	CDNLAB_AWS=$(CURDIR)/tests/outside/clients/.venv/bin/aws $(BIN)/pytest tests/real/control tests/outside/clients -m "slow or not slow"

format: dev  ## Format and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: dev  ## Make the generated pages of docs/ again
	$(BIN)/cdnlab schema --markdown > docs/settings.md
	$(BIN)/python -m tests.real.attacks > docs/attacks.md

clean:  ## Remove what was built (not the runs)
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@[ -n "$(PYTHON)" ] || { echo "cdnlab needs Python 3.11 or newer; found $$(python3 --version 2>&1 || true)." \
		"Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "This Python has no venv module." \
		"On Debian and Ubuntu: sudo apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable '.[all$(FFMPEG_EXTRA)]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable '.[all,dev$(FFMPEG_EXTRA)]'
	@touch $(VENV)/.installed $@
