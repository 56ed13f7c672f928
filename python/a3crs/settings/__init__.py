"""Fields of the settings, a file for each group of `--help`."""
