"""Judges the stored answers with Claude or a local model, and checks the judge meanwhile."""
