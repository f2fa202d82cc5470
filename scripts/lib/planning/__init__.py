"""The plan: which cells there are, their specs and digests, what is missing, how long it takes."""
