"""Where a record is: find records by a value, and tell what became of one. Changes nothing."""
