"""A zip archive that is delivered, withdrawn and taken back."""

from orchestration_project.recovery.withdraw import Chosen, undo, withdraw
from orchestration_project_tests.ingest.shop import NOW, Shop, day, named
from orchestration_project_tests.reliability.zips import packed


def zip_delivered(shop: Shop) -> None:
    """An archive with files of two batches, of which one has a key of another file."""
    shop.deliver("z.zip", packed({named(1, "p"): "p,1\nz,7", named(2, "q"): "q,2"}))
    shop.load(day(1), day(2))


def zip_withdrawn(shop: Shop) -> None:
    withdraw(shop.warehouse, shop.settings, shop.feed, shop.options, Chosen("z.zip"), "Ada", "test", NOW, print)


def zip_taken_back(shop: Shop) -> None:
    undo(shop.warehouse, shop.settings, shop.feed, shop.options, Chosen("z.zip"), NOW, print)
