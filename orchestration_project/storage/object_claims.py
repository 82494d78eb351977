"""Claims: which machine works on an object of a landing in a store, when several machines share the landing.

    LANDING_URL/.claims/<feed>/<digest>.<number>    JSON that tells the machine

Belongs here: making, reading and deleting claims. What is done with a claimed object is in `object_landing`.

A claim is made by the one condition that every server heeds also in a race, `create`. It is never replaced: when it is
older than `LEASE` its machine counts as lost, and another one creates the claim of the next number. A claim spares
work, and no more: that rows count once is the ledger's doing, which knows bytes that come twice.
"""

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from orchestration_project.storage.object_notes import ObjectNote
from orchestration_project.storage.objects import ObjectStore, StoredObject

CLAIMS = ".claims"
LEASE = dt.timedelta(hours=1)
"""How long a claim holds. Work that takes longer may be done twice, and counts once."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The claims of an object: the number of the last one, when it was made, and the keys of all."""

    number: int
    at: dt.datetime
    keys: tuple[str, ...]

    def holds(self, now: dt.datetime) -> bool:
        """Whether its machine may still be at work."""
        return now - self.at < LEASE


def read_claims(store: ObjectStore, feed: str) -> dict[str, Claim]:
    """The claims of a feed's objects, by the digest of their notes."""
    found: dict[str, list[StoredObject]] = defaultdict(list)
    for item in store.list(f"{CLAIMS}/{feed}"):
        found[item.key.rpartition("/")[2].partition(".")[0]].append(item)
    return {digest: _of(items) for digest, items in found.items()}


def _of(items: Sequence[StoredObject]) -> Claim:
    ordered = sorted(items, key=lambda item: item.key)
    number = ordered[-1].key.rpartition(".")[2]
    return Claim(int(number) if number.isdecimal() else 0, ordered[-1].modified_at, tuple(it.key for it in ordered))


def claim(store: ObjectStore, feed: str, note: ObjectNote, machine: str, last: Claim | None, now: dt.datetime) -> bool:
    """Claim an object.

    Args:
        store: at `LANDING_URL`.
        feed: its feed.
        note: the object.
        machine: who claims it. A machine that was stopped in between gets its own claim back.
        last: the object's claims, as they were listed.
        now: the present moment, with a time zone.

    Returns:
        Whether this machine has it now.
    """
    number = 1 if last is None else last.number + (not last.holds(now))
    # The same content each time: `create` tells of an object of these bytes that it is there.
    content = json.dumps({"by": machine, "name": note.name, "version": note.version}, ensure_ascii=False)
    return store.create(f"{CLAIMS}/{feed}/{note.digest}.{number:04d}", content.encode())


def forget_orphans(store: ObjectStore, claims: Mapping[str, Claim], objects: Collection[str], now: dt.datetime) -> None:
    """Delete old claims of objects that are gone: their machine was lost between the two deletes.

    Args:
        store: at `LANDING_URL`.
        claims: of a feed.
        objects: the digests of the feed's objects.
        now: the present moment, with a time zone.
    """
    old = [claim for digest, claim in claims.items() if digest not in objects and not claim.holds(now)]
    store.delete(key for claim in old for key in claim.keys)
