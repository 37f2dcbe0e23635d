"""Files, notes and activities of the records that are moved: read, planned, carried, proved, undone; field
history archived.

They are carried after the records, with a ledger of their own (`coa.attached`): these objects have no migration
key, and their bytes cannot go through a Bulk job. `coa.hanging` lists the kinds and says how a copy is
recognised.
"""
