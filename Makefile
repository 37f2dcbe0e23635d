# One command for each habit. Each makes what it needs by itself; a second call makes nothing again.
.DEFAULT_GOAL := help
SHELL := /bin/sh
# A file stays on one worker, with the orgs and the run that its tests share.
PARALLEL := --numprocesses auto --dist loadfile --no-loadscope-reorder
PY := .venv/bin/python
READY := .venv/.complete
HASHED = .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --generate-hashes \
	--no-emit-index-url --no-emit-find-links --constraint constraints.txt
BUILD := .venv/bin/uv build --quiet --build-constraints requirements-build.lock --require-hashes

.PHONY: help demo up down migrate preflight what-if verify rollback relink contract contract-diff readiness check connect setup-target \
	remove-target-fields airflow purge test test-unit \
	test-orgsim test-airflow test-browser docs screenshots model test-long test-faults test-clients test-cluster test-package \
	test-pythons coverage bench lint format lock sbom wheel clean

.PHONY: ready browser
ready: $(READY)

browser:
	@scripts/browser.sh

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

$(READY): requirements.lock scripts/venv.sh
	@scripts/venv.sh

demo: $(READY)  ## two local orgs, Airflow and a complete migration (APPROVE=manual, WAIT=0, ORDERS=1000, SOURCES=2, ATTACHMENTS=carry, NOTIFY=smtp://127.0.0.1:2525)
	@$(PY) -m coa_airflow.local.demo

up: $(READY)  ## Airflow with its UI in the background, against the configured orgs (AIRFLOW_PORT=8080)
	@$(PY) -m coa_airflow.local.server up

down: $(READY)  ## stops what `make up` started
	@$(PY) -m coa_airflow.local.server down

migrate: $(READY)  ## one headless run of coa_migrate (PARAMS='{"dry_run": true}')
	@COA_FOLLOW_PARENT=1 $(PY) -m coa_airflow.local.headless coa_migrate

preflight: $(READY)  ## one headless run of coa_preflight: plan and findings, writes nothing
	@COA_FOLLOW_PARENT=1 $(PY) -m coa_airflow.local.headless coa_preflight

what-if: $(READY)  ## a plan again under other params, without asking an org (PARAMS='{"run_id": "...", "draft_orders": "load"}')
	@COA_FOLLOW_PARENT=1 $(PY) -m coa_airflow.local.what_if

verify: $(READY)  ## one headless run of coa_verify (PARAMS='{"run_id": "..."}')
	@COA_FOLLOW_PARENT=1 $(PY) -m coa_airflow.local.headless coa_verify

rollback: $(READY)  ## one headless run of coa_rollback (PARAMS='{"run_id": "...", "dry_run": true}')
	@COA_FOLLOW_PARENT=1 $(PY) -m coa_airflow.local.headless coa_rollback

relink: $(READY)  ## one headless run of coa_relink (PARAMS='{"mapping": "mappings/relink.yaml", "dry_run": true}')
	@COA_FOLLOW_PARENT=1 $(PY) -m coa_airflow.local.headless coa_relink

contract: $(READY)  ## tests how a sandbox behaves; deletes everything that it created (PARAMS='{"require_approval": false}')
	@COA_FOLLOW_PARENT=1 $(PY) -m coa_airflow.local.headless coa_contract

contract-diff: $(READY)  ## where a cassette of coa_contract differs from the local simulator (CASSETTE=path/cassette.json)
	@$(PY) -m coa_airflow.local.contract_diff "$(CASSETTE)"

readiness: $(READY)  ## who could move to the Go-To-Market app, from the newest snapshot (ARGS='--as-of 2027-01-31')
	@COA_FOLLOW_PARENT=1 $(PY) -m coa_airflow.local.readiness $(ARGS)

check: $(READY)  ## checks connections, staging and permissions in seconds; exit status 0 or 1
	@$(PY) -m coa_airflow.local.check

connect: $(READY)  ## a connection from an org that the Salesforce CLI knows (ALIAS=old-pbo ROLE=source)
	@$(PY) -m coa_airflow.local.connect

setup-target: $(READY)  ## deploys the migration fields and permission set to the target, after asking (YES=1, IMPORT=id_map.csv)
	@$(PY) -m coa_airflow.local.setup_target

remove-target-fields: $(READY)  ## takes them away again, after exporting the id map (CONFIRM=00D..., EXPORT=id_map.csv)
	@$(PY) -m coa_airflow.local.remove_target_fields

airflow: $(READY)  ## the command line of the local Airflow (ARGS='dags list')
	@$(PY) -m coa_airflow.local.command $(ARGS)

purge: $(READY)  ## deletes the data of old runs, of one run, or of one person in all runs (ARGS='--older-than 90 --dry-run')
	@$(PY) -m coa_airflow.local.purge $(ARGS)

test: $(READY)  ## all kinds of tests, with a fixed sample of the long ones (ARGS='-k name')
	@$(PY) -m pytest $(PARALLEL) $(ARGS)

coverage: $(READY)  ## make test with the line coverage of include/coa; lines of killed processes do not count
	@$(PY) -m pytest $(PARALLEL) --cov --cov-report=term $(ARGS)

test-unit: $(READY)  ## only the pure core, without org, database or Airflow
	@$(PY) -m pytest tests/unit $(ARGS)

test-orgsim: $(READY)  ## all tests of the local org, with 3,000 bad requests (2 min)
	@ORGSIM_FUZZ=150 $(PY) -m pytest tests/orgsim -m "lane or not lane" $(PARALLEL) $(ARGS)

test-airflow: $(READY)  ## every DAG run, every way around the gate, kills of headless runs (10 min)
	@$(PY) -m pytest tests/airflow -m "lane or not lane" $(PARALLEL) $(ARGS)

test-browser: $(READY) browser  ## the page of a run and the report in Chromium: walks, keyboard, axe, themes (5 min)
	@$(PY) -m pytest tests/ui tests/report -m "lane or not lane" $(PARALLEL) $(ARGS)

test-faults: $(READY)  ## every endpoint x every fault, kills at every step, 200 random schedules (15 min)
	@$(PY) -m pytest tests/faults -m "faults or not faults" --numprocesses auto --dist worksteal $(ARGS)

test-long: $(READY)  ## what `make test` leaves out of every other folder: plan, delta, roll-back, kinds of data (12 min)
	@$(PY) -m pytest -m "lane and not faults" --ignore tests/airflow --ignore tests/orgsim --ignore tests/ui --ignore tests/report \
		$(PARALLEL) $(ARGS)

test-clients: $(READY)  ## other people's Salesforce clients, and 10,000 bad requests, against the local org (needs npm)
	@$(PY) tests/clients/run.py
	@ORGSIM_FUZZ=500 $(PY) -m pytest tests/orgsim/test_fuzz.py -m lane

model: $(READY)  ## checks every interleaving of the load protocol within bounds (1 min)
	@$(PY) -m tests.model

bench: $(READY)  ## comparison with what people use today (SIZES='1000 10000', SUBJECTS='engine sfdmu', ORG=slow, needs npm and curl)
	@$(PY) -m bench$(if $(filter slow,$(ORG)),.slow) $(if $(SIZES),--sizes $(SIZES)) $(if $(SUBJECTS),--subjects $(SUBJECTS)) $(ARGS)

test-cluster: $(READY)  ## docker-compose.yaml's components as processes, one Celery worker killed (Debian, root)
	@scripts/cluster_programs.sh
	@.venv/bin/uv pip install --quiet --python $(PY) --require-hashes -r requirements-deployment.lock
	@$(PY) -m pytest tests/cluster -m cluster $(ARGS)

test-package: $(READY)  ## the wheels, built and installed into an empty environment
	@$(PY) -m pytest tests/package -m package $(ARGS)

test-pythons: $(READY)  ## the unit tests under each installed Python from 3.11 to 3.14 (PYTHONS='3.12 3.13')
	@scripts/pythons.sh

lint: $(READY)  ## ruff and mypy
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

format: $(READY)  ## ruff's format and fixes
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix .

docs: $(READY)  ## the documentation as a site, .local/site/index.html; fails on a broken link
	@uv=.venv/bin/uv; $$uv pip install --quiet --python $(PY) -r requirements-docs.txt -c constraints.txt
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict && echo "$(CURDIR)/.local/site/index.html"

screenshots: $(READY)  ## renews docs/images from a real run in a real Airflow (takes minutes)
	@scripts/screenshots.sh

lock: $(READY)  ## renews constraints.txt and both hashed locks from the requirements and extras of pyproject.toml
	@.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links requirements.txt requirements-celery.txt requirements-docs.txt requirements-build.txt \
		pyproject.toml --extra openlineage --extra notify --output-file constraints.txt
	@$(HASHED) requirements.txt --output-file requirements.lock
	@$(HASHED) requirements-runtime.txt requirements-celery.txt --output-file requirements-deployment.lock
	@$(HASHED) requirements-build.txt --output-file requirements-build.lock

sbom: $(READY)  ## dist/sbom.cdx.json: what the image of docker-compose.yaml is made of (CycloneDX)
	@$(PY) scripts/sbom.py requirements-deployment.lock dist/sbom.cdx.json

wheel: $(READY)  ## dist/: wheels of coa-migration and coa-orgsim
	@$(BUILD) --out-dir dist . && $(BUILD) --out-dir dist include/orgsim
	@ls dist/*.whl

clean:  ## removes the Python environment and local state (not artifacts/)
	@if [ -x $(PY) ]; then $(PY) -m coa_airflow.local.server down && $(PY) -m coa.staging.embedded stop; fi
	rm -rf .venv .local dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage*
