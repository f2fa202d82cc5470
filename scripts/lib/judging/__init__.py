"""Judges the stored answers with Claude or a local model, and checks the judge at the same time."""
