"""Files on disk: list, fingerprint, batches, transfer, archive, quarantine, the sensor's cursor. No dagster, no SQL."""
