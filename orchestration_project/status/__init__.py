"""How things stand: what files, ledger and Dagster's history tell of each feed. Changes nothing, waits for none."""
