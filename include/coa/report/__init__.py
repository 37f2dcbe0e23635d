"""The artifacts of a run."""
