"""The same tables by other tools, which run in an environment of their own."""
