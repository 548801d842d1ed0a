"""The `points` command."""
