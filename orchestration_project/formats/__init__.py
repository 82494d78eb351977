"""The steps over rows, as SQL inside the caller's transaction: read, judge, publish, aggregate. No dagster."""
