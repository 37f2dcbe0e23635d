"""Seeding: two consistent orgs from one seed."""
