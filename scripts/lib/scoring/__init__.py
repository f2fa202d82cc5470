"""Scoring by machine: from a model's raw output to the answer itself, and to a score."""
