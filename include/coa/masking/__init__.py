"""A dress rehearsal: records of real people become others on the way, before anything of them is kept."""
