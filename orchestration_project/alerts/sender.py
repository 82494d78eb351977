"""The sender: a process of its own that takes the outbox to the targets."""

from orchestration_project.settings import Settings


def start(settings: Settings) -> None:
    """Start the sender, detached, if there is something to send and none runs. Returns at once; never raises."""
    raise NotImplementedError(settings)
