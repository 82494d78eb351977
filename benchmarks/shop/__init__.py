"""A code location like the project's, for the files that `data.py` makes."""
