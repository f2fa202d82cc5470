"""Suites of questions: their files are read and checked, contexts generated, lengths counted."""
