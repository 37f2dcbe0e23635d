"""The mapping file: what it can say, reading it, and keeping it with the run."""
