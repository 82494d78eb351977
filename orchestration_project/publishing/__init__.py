"""The published copy: immutable Parquet files of the tables, and a small DuckDB file of views over them, for readers.

Belongs here: what the copy consists of, how it is brought up to date, how far it is behind. No Dagster, no feed.
"""
