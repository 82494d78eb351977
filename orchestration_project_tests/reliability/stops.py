"""Stop a load, or do something to its files, at a point between two of its steps."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from orchestration_project.failpoints import AnyPoint, listen


class Killed(BaseException):
    """The process dies here."""


@contextmanager
def acting(point: AnyPoint, act: Callable[[], object]) -> Iterator[None]:
    """Have something done at a point, every time it is reached."""

    def listener(reached: AnyPoint) -> None:
        if reached is point:
            act()

    listen(listener)
    try:
        yield
    finally:
        listen(None)


@contextmanager
def dying(point: AnyPoint) -> Iterator[None]:
    """Die at a point. The block ends there; what Python does on the way out is done, unlike with SIGKILL."""

    def die() -> None:
        raise Killed

    with suppress(Killed), acting(point, die):
        yield
