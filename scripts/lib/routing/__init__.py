"""Finds the route that a suite should take: samples, rewards, and the report."""
