"""Scores an answer by machine: finds the final answer in the raw output and checks it."""
