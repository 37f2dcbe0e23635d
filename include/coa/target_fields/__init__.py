"""The migration's own fields in the target: deployed, and taken away again when a partner is done."""
