"""`make bench`: the migration measured beside what people use today, on simulated orgs."""
