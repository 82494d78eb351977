"""`watch`: ask for a run as soon as a writer has closed its file, instead of at the sensor's next look."""

import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestration_project.cli.common import feed_named
from orchestration_project.cli.project import project_here
from orchestration_project.errors import PlatformError

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent

    from orchestration_project.components.dagster_api import DagsterApi
    from orchestration_project.components.feed_spec import FeedSpec
    from orchestration_project.settings import Settings

UI_URL = "http://127.0.0.1:3000"
GATHER_SECONDS = 0.3
"""How long after a first file the others are waited for: what is delivered together is loaded by one run."""
SILENT_SECONDS = 5.0
"""The pause before Dagster is asked again when it did not answer."""


@click.command("watch")
@click.argument("feeds", nargs=-1)
@click.option("--url", help=f"Dagster's webserver; without it, UI_URL, else {UI_URL}.")
def watch(feeds: tuple[str, ...], url: str | None) -> None:
    """Ask for a run as soon as a file in landing is whole, until it is stopped. Without FEEDS, for all of them.

    It asks as the feed's sensor would, so nothing is asked for twice; the sensor stays switched on and finds what is
    missed. A feed whose sensor is switched off is left alone. The kernel tells only of what is written on this machine:
    on a network file system the sensor alone works.

    Example: orchestration-project watch sales
    """
    from orchestration_project.components.dagster_api import DagsterApi
    from orchestration_project.settings import Settings

    known, settings = project_here().feeds(), Settings.from_env()
    specs = {name: feed_named(name, known) for name in feeds or known}
    watcher = Watcher(settings, specs, DagsterApi(url or settings.ui_url or UI_URL))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: watcher.stop())
    with _events(settings, specs, watcher):
        click.echo(f"Watching landing of {', '.join(specs) or 'no feed'}.")
        watcher.run()


class Watcher:
    """Which feeds have to be looked at, and when; it asks for their runs.

    Args:
        settings: where the files are.
        specs: the feeds, by name.
        api: of Dagster.
    """

    def __init__(self, settings: "Settings", specs: Mapping[str, "FeedSpec"], api: "DagsterApi") -> None:
        self._settings, self._specs, self._api = settings, specs, api
        # What lies there when it starts came without an event.
        self._due: dict[str, float] = dict.fromkeys(specs, 0.0)
        self._told: dict[str, str] = {}
        self._changed = threading.Condition()
        self._stopped = False

    def stop(self) -> None:
        """End `run` after what it is doing. It is called by a signal, so it takes no lock."""
        self._stopped = True

    def notice(self, feed: str, seconds: float = GATHER_SECONDS) -> None:
        """A feed has to be looked at in some seconds, or earlier if it had to be anyway."""
        with self._changed:
            moment = time.monotonic() + seconds
            self._due[feed] = min(moment, self._due.get(feed, moment))
            self._changed.notify()

    def run(self) -> None:
        """Look at feeds when they are due, until it is stopped."""
        while not self._stopped:
            for name in self._wait():
                self._look(name)

    def _wait(self) -> list[str]:
        """The feeds that are due; it waits a second at most, so that it can be stopped."""
        with self._changed:
            next_one = min(self._due.values(), default=None)
            rest = 1.0 if next_one is None else next_one - time.monotonic()
            if rest > 0:
                self._changed.wait(min(rest, 1.0))
            now = time.monotonic()
            due = [name for name, moment in self._due.items() if moment <= now]
            for name in due:
                del self._due[name]
            return due

    def _look(self, name: str) -> None:
        """Ask for the runs of a feed, and note when to look again."""
        try:
            again = self._ask(self._specs[name])
        # The sensor loads what is not asked for here, so a fault is told and costs time only.
        except (PlatformError, OSError) as error:
            self._tell(name, str(error))
            again = SILENT_SECONDS
        if again is not None:
            self.notice(name, again)

    def _ask(self, spec: "FeedSpec") -> float | None:
        """Ask for the runs of a feed; returns in how many seconds to look again, None: when something happens."""
        from orchestration_project.components.feed_watch import runs_to_ask_for
        from orchestration_project.inspection.runs import RUN_KEY

        job, sensor = spec.configured.job, spec.configured.sensor
        state = self._api.sensor(sensor)
        if state is None or not state.running:
            self._tell(spec.name, f"the sensor {sensor} is {'unknown to Dagster' if state is None else 'switched off'}")
            return SILENT_SECONDS if state is None else None
        asked = runs_to_ask_for(spec, self._settings, state.cursor, self._api.runs_under_way(job), time.time())
        self._told.pop(spec.name, None)
        for tags in asked.runs:
            # A run of this key that failed: the sensor asks again, after its pause.
            if not self._api.has_run(tags[RUN_KEY]):
                run = self._api.launch(state.repository, job, tags)
                click.echo(f"{spec.name}: asked for {tags[RUN_KEY].split(':', 1)[1].rpartition(':')[0]}, run {run[:8]}")
        return asked.again

    def _tell(self, name: str, text: str) -> None:
        """Print what keeps a feed from being asked for, once."""
        if self._told.get(name) != text:
            self._told[name] = text
            click.echo(f"{name}: {text}", err=True)


@contextmanager
def _events(settings: "Settings", specs: Mapping[str, "FeedSpec"], watcher: Watcher) -> Iterator[None]:
    """Tell the watcher of files that are closed by their writer, or renamed into a feed's landing, while it lasts."""
    from watchdog.events import FileClosedEvent, FileCreatedEvent, FileMovedEvent, FileSystemEventHandler
    from watchdog.observers import Observer

    folders = {str(settings.landing(name).absolute()): name for name in specs}

    class Handler(FileSystemEventHandler):
        def on_any_event(self, event: "FileSystemEvent") -> None:
            # What is renamed from outside is told as created.
            for path in (event.dest_path, event.src_path):
                if path and (name := folders.get(str(Path(str(path)).parent))):
                    watcher.notice(name)
                    return

    observer = Observer()
    for folder in folders:
        Path(folder).mkdir(parents=True, exist_ok=True)
        observer.schedule(Handler(), folder, event_filter=[FileClosedEvent, FileMovedEvent, FileCreatedEvent])
    observer.start()
    try:
        yield
    finally:
        observer.stop()
        observer.join()
