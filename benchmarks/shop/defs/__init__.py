"""A sales feed with a contract of its own, and the project's catalogue and marts."""
