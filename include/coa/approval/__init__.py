"""Who said yes to which plan: recorded answers and standing approvals."""
