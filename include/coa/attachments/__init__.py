"""What hangs on the records that are moved: read, planned, carried, proved, undone; field history archived.

It is a passage of its own beside that of the records, with a ledger of its own (`coa.attached`), for its objects bear no
migration key and their bytes go through no Bulk job. `coa.hanging` has the kinds and how a copy is known again.
"""
