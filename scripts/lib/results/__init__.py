"""Stored results: reviews, certificates, symptoms, and the state of each cell."""
