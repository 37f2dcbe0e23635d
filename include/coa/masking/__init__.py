"""A dress rehearsal: personal data is masked while it is read, before anything of it is kept."""
