"""SOQL: grammar, syntax tree, compilation to SQL."""
