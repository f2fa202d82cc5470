"""Extracts what an answer states: its number, choice, text, list or expression, and its words."""
