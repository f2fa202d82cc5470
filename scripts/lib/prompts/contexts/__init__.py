"""Long contexts, generated from a seed."""
