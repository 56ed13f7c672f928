"""`python -m a3crs` is the command line."""

from a3crs.cli import main

main()
