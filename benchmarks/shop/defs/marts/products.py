"""The project's product marts: they need no more of a sales feed than the columns that they aggregate."""

from orchestration_project.defs.product_marts.products import product_marts

__all__ = ["product_marts"]
