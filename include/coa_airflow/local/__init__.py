"""Runs the project on one machine: `make demo`, `make up`, `make migrate`. Nothing here runs in a worker."""
