"""What runs keep of people, for how long, and how it goes: `register` names every place, `purge` and `person` walk it."""
