"""Compares runs, revisions and machines: pairs, gates, trends, reproduction."""
