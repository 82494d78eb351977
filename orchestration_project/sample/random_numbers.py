"""Random whole numbers that are the same on every platform and with every version of numpy.

numpy guarantees the raw bits of its generators for ever, but not what `Generator.integers` and its like make of them.
"""

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]


class RandomNumbers:
    """A stream of random numbers; the same seeds give the same stream."""

    def __init__(self, *seeds: int) -> None:
        self._bits = np.random.PCG64(list(seeds))

    def below(self, limit: int, count: int) -> IntArray:
        """`count` numbers from 0 to `limit` - 1."""
        return (self._raw(count) % limit).astype(np.int64)

    def shuffled(self, count: int) -> IntArray:
        """The numbers from 0 to `count` - 1 in random order."""
        return np.argsort(self._raw(count), kind="stable").astype(np.int64)

    def _raw(self, count: int) -> npt.NDArray[np.uint64]:
        return np.asarray(self._bits.random_raw(count), dtype=np.uint64)
