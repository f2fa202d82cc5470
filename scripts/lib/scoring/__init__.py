"""Scoring by machine: from a model's raw output to the answer proper, what it states, and whether a check passes."""
