"""Finds everything that could prevent a migration, before the first write."""
