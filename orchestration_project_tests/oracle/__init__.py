"""A second reading of files by contracts, in plain Python, and the test that holds loads against it."""
