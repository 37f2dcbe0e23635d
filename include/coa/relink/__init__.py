"""Sets lookups of other records in the target to what was moved: a plan, an approval and a proof of its own.

`scope`: which records, by the rules of the mapping file; `plan`: what is set, and what is left; `carry_out`: the writes
and the proof; `undo`: takes a run back, for `coa.rollback`; `report`: what it leaves behind.
"""
