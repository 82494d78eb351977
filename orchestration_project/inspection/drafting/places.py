r"""The part of file names that tells a store, a till or the like: two of them may use the same numbers.

sales_store13_2024-01-01.csv, sales_store14_2024-01-01.csv   ->   store_id, from 'store[-_ ]?(\d+)'
"""

import re
from collections.abc import Collection, Sequence

from orchestration_project.contracts.feed import Column
from orchestration_project.contracts.outside import ValueFrom

WORDS = """store shop branch outlet region site till pos register terminal filiale markt kasse magasin caisse tienda
    caja negozio cassa winkel kassa""".split()
"""What has numbers of its own. Parts, pages and versions of one export are none of these."""


def place_column(names: Sequence[str], taken: Collection[str]) -> Column | None:
    """The column that sample files' names tell: each of them has the word with a number, and not all the same.

    Args:
        names: of the files.
        taken: the names of the columns that the records have.
    """
    for word in WORDS:
        pattern = rf"(?i){word}[-_ ]?(\d+)"
        numbers = [set(re.findall(pattern, name)) for name in names]
        if f"{word}_id" not in taken and all(len(own) == 1 for own in numbers) and len(set.union(*numbers)) > 1:
            return Column(f"{word}_id", "VARCHAR", f"{word}_id", value_from=ValueFrom("fileName", pattern))
    return None
