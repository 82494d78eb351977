"""What becomes of rejected records: export, repair, waive."""
