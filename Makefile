# `make demo`: install and score GLVD on the embedded H3DS mirror.   `make test`: everything that must hold.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint results clean

demo: .venv/installed
	$(BIN)/python -m harness run method=glvd bench=h3ds

test: .venv/installed-dev lint
	$(BIN)/python -m pytest -n 2 --dist loadgroup --benchmark-disable

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Scores every method on the mirrors and publishes the runs; goes on where it was stopped.
METHODS := mean_face,lvd,glvd,deca,emoca,smirk,mica,teaser,kaolrm,paco_mica
results: .venv/installed-dev
	for bench in h3ds now faceverse timing; do $(BIN)/python -m harness run -m method=$(METHODS) bench=$$bench data=mirror; done
	$(BIN)/python -m harness publish runs/*-mirror/*

clean:
	rm -rf .venv runs training

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[leaderboard]"
	touch $@

.venv/installed-dev: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@ .venv/installed
