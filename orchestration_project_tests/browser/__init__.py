"""What people see: the pages of Dagster and of the report, in a real browser. No browser, no test: see `chromium`."""
