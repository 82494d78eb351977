"""The project's own commands: a module for each group of them.

Belongs here: reading arguments, printing and exit codes. Does not belong here: the work itself. What is slow to import
is imported by the command that needs it, so that `--help` and completion answer at once.
"""
