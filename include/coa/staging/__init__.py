"""The staging database: PostgreSQL with the tables of runs, the ledger, leases and events."""
