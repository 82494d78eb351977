"""The steps over rows, as SQL that is run inside the caller's transaction: read, judge, publish, aggregate. No dagster."""
