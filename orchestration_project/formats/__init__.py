"""From bytes to text records: CSV, JSON, Parquet and Excel files, numbered in file order, in the relation `_staged`.

No table of the warehouse is written here, and no rule of a contract is checked: `ingest` does both.
"""
