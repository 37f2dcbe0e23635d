"""Writes the approved plan to the target, exactly once: jobs, ledger, steps, lanes."""
