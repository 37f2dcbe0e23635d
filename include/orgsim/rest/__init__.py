"""The HTTP side: requests, routes and what each resource answers."""
