"""The registry's keys and types, its quirks, and the relations between entries."""
