"""Evidence of a run that anyone can check: every record under one Merkle root, every artifact by its hash, signed."""
