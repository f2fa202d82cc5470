"""The run configuration: read, merged, and checked against its schema."""
