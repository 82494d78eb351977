"""Data contracts: an Open Data Contract Standard document in, a frozen `Feed` out. No dagster, no SQL is run here."""

from orchestration_project.contracts.build import load_feed
from orchestration_project.contracts.errors import ContractError, Problem
from orchestration_project.contracts.feed import Feed

__all__ = ["ContractError", "Feed", "Problem", "load_feed"]
