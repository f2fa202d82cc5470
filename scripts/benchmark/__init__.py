"""Commands that have the predecessor's paths."""
