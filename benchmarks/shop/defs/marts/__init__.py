"""The project's own marts and their checks, over this sales feed."""
