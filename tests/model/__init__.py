"""A model of the load protocol: `protocol` says what may happen next, `explore` walks through all of it."""
