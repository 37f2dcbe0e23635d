"""Bulk API 2.0 (ingest, query) and 1.0."""
