"""The DuckDB warehouse: connections and locks, tables, the file ledger, and the other tables that the platform keeps.

Nothing here knows Dagster, files in landing, or how records are validated.
"""
