"""The names of the temporary relations on which one load works. Each is written here and nowhere else.

They belong to the load's own connection. A hand-over between two stages (`model.py`) says which of them it stands for.
`formats.staging` names those of reading.
"""

REMOVED = "_removed"
"""Files whose raw rows go: `_batch_date`, `_file`, `_file_version`."""
RECORDS = "_records"
"""What `raw_x` will hold for the batches that are published, before it does: the raw columns and `_rid`."""
VALIDATED = "_validated"
"""A row for each of these records that is not blank: values, and `_reasons`, NULL for one that breaks no rule."""
DUPLICATES = "_duplicates"
"""The records of `_validated` whose key another record has: `_rid`, where they come from, `reason` with the winner."""
CORRECTED = "_corrected"
"""For each valid record of a repair file the record whose place it takes: `file`, `row`, `modified_at`."""
REPAIRABLE = "_repairable"
"""The rejects of ordinary files that repair records may name: `reject_id`, and the record."""
ATTEMPTS = "_attempts"
"""The repair records with what is wrong with them (`reason`, NULL if nothing is) and the reject they name."""
SHARED_KEYS = "_shared_keys"
"""Published rows of batches within the look-back that have a key of a validated record."""
REPEATED_KEYS = "_repeated_keys"
"""Hashes of keys that may occur more than once."""
KEPT = "_kept"
"""View: the staged records without those of files that were left out since."""
LEFT_OUT = "_left_out"
"""Table: name and version of these files."""
