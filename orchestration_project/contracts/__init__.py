"""Data contracts: from a document of the Open Data Contract Standard to a frozen `Feed`.

Belongs here: reading and checking what a contract says. Does not belong here: dagster, and running SQL or patterns.
"""

from orchestration_project.contracts.build import load_feed
from orchestration_project.contracts.errors import ContractError, Problem
from orchestration_project.contracts.feed import Feed

__all__ = ["ContractError", "Feed", "Problem", "load_feed"]
