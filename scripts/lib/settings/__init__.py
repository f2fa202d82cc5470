"""The run configuration: read, merged, and checked."""
