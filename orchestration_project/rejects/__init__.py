"""What people do with rejected records: export them as repair files, or waive them.

A repair file comes back as a delivery, so it is loaded by `ingest`.
"""
