"""The project's product warehouse: it needs no more of a sales feed than the columns that its marts add up."""

from orchestration_project.defs.product_marts.product_warehouse import product_warehouse

__all__ = ["product_warehouse"]
