"""The DAGs: a module each with its wiring, and the factory that makes them for any pair of orgs.

Read at every parse of a DAG file: nothing heavy may be imported here.
"""
