"""Which fields are carried, how values compare, and where each comes from."""
