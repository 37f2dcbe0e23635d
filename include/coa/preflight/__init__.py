"""Everything that stands in the way, found before the first write."""
