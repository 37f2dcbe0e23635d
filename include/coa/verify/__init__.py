"""Proves the result: fresh extracts, every record, every carried field."""
