"""The DuckDB warehouse: connections and locks, atomic replacement of batches, the file ledger, the IO manager."""
