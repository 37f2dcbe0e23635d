"""What each record should look like in the target, and what prevents it."""
