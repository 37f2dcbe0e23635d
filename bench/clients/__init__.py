"""What is measured: each of these runs as a process of its own."""
