"""A sales data platform on Dagster: files in a folder become warehouse tables, every row accounted for."""
