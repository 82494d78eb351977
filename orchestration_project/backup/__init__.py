"""Backups at a second place: taken by content, tried by restoring them, restored to an empty machine.

No Dagster. The asset is in `components.backup`, the commands in `cli.backup`.
"""
