"""The sections of RESULTS.md, one module each."""
