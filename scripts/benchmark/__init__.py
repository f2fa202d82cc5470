"""Commands at the paths that they had in the predecessor."""
