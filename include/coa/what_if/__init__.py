"""The plan of a run's kept snapshots under other params or another mapping file, as a difference; no org is entered."""
