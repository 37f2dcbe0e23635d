"""Source snapshot, target snapshot and ledger give exactly one action a record: the plan."""
