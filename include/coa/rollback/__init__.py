"""Undoes one run by its ledger and its pre-image: only what that run wrote, only if untouched since."""
