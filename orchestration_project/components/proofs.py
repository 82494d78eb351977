"""The proofs that marts bring to `verify`, which knows no mart by name.

A mart of the component `SqlTable` with totals to reconcile has one. A mart in Python is a component in its module:

    class TopProducts(ProvenTable):
        def build_defs(self, context): ...  # its assets and checks
        def proof(self, tree): return Proof("top_products", find)

    @dg.component_instance
    def top_products(context: dg.ComponentLoadContext) -> TopProducts:  # the annotation is how it is found
        return TopProducts()
"""

from abc import abstractmethod

import dagster as dg

from orchestration_project.inspection.findings import Proof
from orchestration_project.warehouse.mart_definition import Mart


class ProvenTable(dg.Component):
    """A component whose table `verify` proves, and names a command for after the warehouse was lost."""

    @abstractmethod
    def proof(self, tree: dg.ComponentTree) -> Proof:
        """How the table is proven; a table without a proof of its own has one that finds nothing.

        Args:
            tree: all components, such as the feeds that the table is made from.
        """

    def mart(self, tree: dg.ComponentTree) -> Mart | None:  # noqa: ARG002 - those with a SELECT may need it
        """The SELECT that makes the table, so that `where` can follow a record into it; None if none does.

        Args:
            tree: as above.
        """
        return None


def proofs_of(tree: dg.ComponentTree) -> list[Proof]:
    """The proofs of all marts below a `defs` folder; those of partitioned marts first, then by name."""
    # Dagster finds subclasses of an abstract class as well as of others; its annotation does not say so.
    marts = tree.get_all_components(of_type=ProvenTable)  # type: ignore[type-abstract]
    found = [mart.proof(tree) for mart in marts]
    return sorted(found, key=lambda proof: (proof.batches_of is None, proof.table))
