"""Findings: what a person should know before the first write, and the catalogue of their sentences."""
