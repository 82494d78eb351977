"""Sample files with known defects, for a first run, for tests and for measurements.

The same `SampleSpec` gives the same bytes everywhere. Nothing is imported here: the commands need the defaults in
`defects` for their help, and `files` imports numpy.
"""
