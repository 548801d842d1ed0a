# `make up` and `make test` are all that a newcomer needs: each installs what is missing and does its work.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := .make

# In contracts/, by the shell: the program for this platform, from npm.
FORGE := node_modules/@foundry-rs/forge-*/bin/forge

# Tests of whole networks, which need the machine for themselves; the others run two at a time.
ALONE := tests/faults tests/system tests/browser tests/scripts/test_bench.py

.PHONY: up test check bench bench-index reorgs fuzz kills weeks faults lies mutations audits replays schema twin clean install \
	lock artifacts format gas prove symbolic analyse slither erc20 mutate

up: install  ## PostgreSQL, a chain, contracts, sample merchants, a week of purchases, the gateway on 127.0.0.1:8000
	@$(BIN)/points up

test: $(STAMP)/dev $(STAMP)/node $(STAMP)/browser  ## every test, on a real database, a real node and a real browser
	@$(BIN)/python -m contracts.compile --check
	@grep '^seed' contracts/foundry.toml
	@cd contracts && FOUNDRY_PROFILE=tests $(FORGE) test
	@$(BIN)/pytest -q -n 2 --dist worksteal $(ALONE:%=--ignore %) && passed=yes; $(BIN)/pytest -q $(ALONE) && test "$$passed"

check: $(STAMP)/dev  ## format, lint, types, direction of imports
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(STAMP)/dev $(STAMP)/node  ## what a second brings, beside baselines of the same run: SECTIONS of purchases bulk minting reads replay index
	@$(BIN)/points bench $(SECTIONS)

bench-index: $(STAMP)/dev $(STAMP)/node $(STAMP)/ponder  ## a million events to SQL, beside Ponder on the same chain and PostgreSQL
	@$(BIN)/points bench index

fuzz: CALLS ?= 1000000
fuzz: DEPTH ?= 500
fuzz: RUNS ?= $$(($(CALLS) / $(DEPTH)))
fuzz: SEED := $(or $(SEED),0x$(shell od -An -N6 -tx1 /dev/urandom | tr -d ' '))
fuzz: $(STAMP)/dev $(STAMP)/node  ## random lives of the network: CALLS in runs of DEPTH, every invariant held to; SEED repeats one
	@$(BIN)/python -m contracts.compile --check
	@echo "seed = $(SEED)"
	@cd contracts && FOUNDRY_PROFILE=tests FOUNDRY_FUZZ_SEED=$(SEED) FOUNDRY_INVARIANT_RUNS=$(RUNS) \
		FOUNDRY_INVARIANT_DEPTH=$(DEPTH) FOUNDRY_INVARIANT_CHECK_INTERVAL=50 $(FORGE) test --match-test invariant_

kills: $(STAMP)/dev $(STAMP)/node  ## KILLS times kill -9 of everything, at random and at named points, under PURCHASES
	@KILLS=$(or $(KILLS),1000) PURCHASES=$(or $(PURCHASES),100000) SEED=$(or $(SEED),$(shell date +%s)) \
		$(BIN)/pytest -q -s tests/faults/test_campaign.py

weeks: $(STAMP)/dev $(STAMP)/node  ## the long form of the replay of real data: WEEKS of it under KILLS times kill -9
	@WEEKS=$(or $(WEEKS),20) KILLS=$(or $(KILLS),40) $(BIN)/pytest -q -s tests/system -k "first_week or kills"

faults: $(STAMP)/dev $(STAMP)/node  ## the long form of what nodes, databases and thieves of nonces do to us
	@FAULT_SECONDS=$(or $(FAULT_SECONDS),300) NONCE_FAULTS=$(or $(NONCE_FAULTS),500) SEED=$(or $(SEED),$(shell date +%s)) \
		$(BIN)/pytest -q -s tests/faults --ignore tests/faults/test_campaign.py

lies: $(STAMP)/dev $(STAMP)/node  ## the long form of the auditor's lying nodes: N lies; SEED repeats them
	@N=$(or $(N),200) SEED=$(SEED) $(BIN)/pytest -q -s tests/audit/test_lying_nodes.py

mutations: $(STAMP)/dev $(STAMP)/node  ## the long form of what is done to the audited tables: N mutations; SEED repeats them
	@N=$(or $(N),2000) SEED=$(SEED) $(BIN)/pytest -q -s tests/audit/test_mutations.py

audits: $(STAMP)/dev $(STAMP)/node  ## the long form of the clean audits: N of them while the network trades, none may alarm
	@N=$(or $(N),100) SEED=$(or $(SEED),$(shell date +%s)) $(BIN)/pytest -q -s tests/faults/test_audits.py

schema: $(STAMP)/dev  ## the long form of schemathesis over the whole API: SECONDS for each role; SEED repeats one
	@SECONDS=$(or $(SECONDS),600) $(if $(SEED),SEED=$(SEED)) $(BIN)/pytest -q -s tests/gateway/test_openapi.py

replays: $(STAMP)/dev  ## the long form of the idempotent replays: N purchases and N requests sent again, SECONDS at most
	@N=$(or $(N),1000000) SECONDS=$(or $(SECONDS),1200) $(BIN)/pytest -q -s tests/gateway/test_replays.py

twin: $(STAMP)/dev $(STAMP)/node  ## the long form of the comparison of the contracts with their plain twin: STEPS acts
	@STEPS=$(or $(STEPS),100000) SEED=$(SEED) $(BIN)/pytest -q -s tests/contracts/test_twin.py -k twin_does

reorgs: $(STAMP)/dev $(STAMP)/node  ## the long form of reorganisations: N simulated ones, FALSE heads that are none, ANVIL of a real node
	@N=$(or $(N),100000) FALSE=$(or $(FALSE),1000) REORGS=$(or $(ANVIL),1000) SEED=$(or $(SEED),$(shell date +%s)) \
		$(BIN)/pytest -q -s tests/indexer/test_simulator.py tests/indexer/test_reorganisations.py -k "not bugs"

format: $(STAMP)/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

artifacts: $(STAMP)/dev $(STAMP)/node  ## recompile the contracts and regenerate their bindings
	$(BIN)/python -m contracts.compile

prove: symbolic analyse  ## what can be proved of the contracts, for all inputs, and what a static analysis finds

symbolic: $(STAMP)/prove $(STAMP)/node  ## the proofs alone
	@$(BIN)/python -m scripts.prove symbolic

analyse: $(STAMP)/prove $(STAMP)/node  ## the analyses alone: slither, and the ERC-20 suites of others
	@$(BIN)/python -m scripts.prove static erc20

slither: $(STAMP)/prove $(STAMP)/node  ## the static analysis alone
	@$(BIN)/python -m scripts.prove static

erc20: $(STAMP)/prove $(STAMP)/node  ## the ERC-20 suites of others alone
	@$(BIN)/python -m scripts.prove erc20

mutate: $(STAMP)/prove $(STAMP)/node  ## whether the proofs notice small mistakes; long: PART is account, quote, margin or issuance
	@$(BIN)/python -m scripts.mutate $(PART)

gas: $(STAMP)/dev $(STAMP)/peers  ## what each act costs beside well-known contracts; writes our figures' snapshot
	@$(BIN)/python -m scripts.gas

lock: $(STAMP)/dev  ## pin the newest dependencies that pyproject.toml admits, with hashes and without addresses
	$(BIN)/uv pip compile pyproject.toml --upgrade --universal --generate-hashes --no-header -q \
		--extra replay --group build -o requirements/run.txt
	$(BIN)/uv pip compile pyproject.toml --universal --generate-hashes --no-header -q \
		--extra replay --group build --group dev -c requirements/run.txt -o requirements/dev.txt
	$(BIN)/uv pip compile requirements/prove.in --upgrade --universal --python-version 3.11 --generate-hashes \
		--no-header -q -o requirements/prove.txt

install: $(STAMP)/run $(STAMP)/node

$(VENV)/bin/python:
	@$(PYTHON) -m venv $(VENV)

$(STAMP)/run: requirements/run.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing Python packages ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/run.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@mkdir -p $(STAMP) && touch $@

$(STAMP)/dev: requirements/dev.txt $(STAMP)/run
	@echo "Installing development packages ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@mkdir -p $(STAMP) && touch $@

# The provers pin older packages than ours.
$(STAMP)/prove: requirements/prove.txt | $(STAMP)/run
	@echo "Installing the provers ..."
	@$(PYTHON) -m venv .venv-prove
	@.venv-prove/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/prove.txt
	@mkdir -p $(STAMP) && touch $@

$(STAMP)/node: contracts/package.json contracts/package-lock.json | $(STAMP)/run
	@echo "Installing the chain's tools (anvil, solc) ..."
	@$(BIN)/python -m scripts.node install
	@mkdir -p $(STAMP) && touch $@

$(STAMP)/browser: | $(STAMP)/run
	@echo "Looking for Chromium and its driver ..."
	@$(BIN)/python -m scripts.browser install
	@mkdir -p $(STAMP) && touch $@

$(STAMP)/peers: contracts/package.json contracts/package-lock.json | $(STAMP)/node
	@echo "Installing the contracts that ours are measured against (50 MB) ..."
	@NPM_CONFIG_INCLUDE=dev $(BIN)/python -m scripts.node install
	@mkdir -p $(STAMP) && touch $@

$(STAMP)/ponder: scripts/bench/ponder/package.json scripts/bench/ponder/package-lock.json | $(STAMP)/node
	@echo "Installing Ponder, which the indexer is measured against (200 MB) ..."
	@$(BIN)/python -m scripts.node install scripts/bench/ponder
	@mkdir -p $(STAMP) && touch $@

clean:  ## everything that was installed, built or stored
	rm -rf $(VENV) .venv-prove $(STAMP) .data build *.egg-info contracts/node_modules contracts/cache contracts/out \
		scripts/bench/ponder/node_modules scripts/bench/ponder/.ponder scripts/bench/ponder/generated
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
