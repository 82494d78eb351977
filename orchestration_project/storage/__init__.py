"""Files on disk: discover, place in a batch, fingerprint, archive, quarantine. No dagster and no SQL."""
