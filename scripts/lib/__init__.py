"""The functional core of the commands, in packages; pyproject.toml has their layers."""
