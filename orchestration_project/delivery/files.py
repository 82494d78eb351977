"""A target of files: immutable objects in a folder or an object store, and a manifest that says which of them count.

    target: s3://reports/shop        format: parquet | csv | jsonl | xlsx

Files are written first, each under a key of its own, and count for nobody. Then one object, the next version of the
`manifest`, makes all of them count. Who dies before has left files that nobody reads; they are removed after a day.
"""

import datetime as dt
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestration_project.contracts.errors import did_you_mean
from orchestration_project.delivery.file_formats import FORMATS, FileFormat
from orchestration_project.delivery.manifest import (
    FOLDER,
    File,
    Manifest,
    file_key,
    leftovers,
    manifest_key,
    number_of,
    read_manifest,
)
from orchestration_project.delivery.model import Contents, Figures, Shape, StagedPart
from orchestration_project.delivery.targets import USUAL_FORMAT, TargetConfig
from orchestration_project.errors import DeliveryConflict, DeliveryError, ObjectMissing, ObjectStoreError
from orchestration_project.failpoints import Delivery, reached
from orchestration_project.storage.objects import ObjectStore, open_objects


@dataclass(frozen=True, slots=True)
class FilesTarget:
    """Files of one format below an URL; `work` is a folder on this machine for what is needed in between."""

    store: ObjectStore
    format: str
    work: Path

    @classmethod
    def from_config(cls, config: TargetConfig) -> "FilesTarget":
        """The target that a delivery names.

        Raises:
            DeliveryError: there is no such format, or an option is given.
            ObjectStoreError: the URL can't be used.
        """
        name = config.format or USUAL_FORMAT
        if name not in FORMATS:
            raise DeliveryError(
                f"delivery {config.name}: format {name!r} is none of {', '.join(FORMATS)}{did_you_mean(name, FORMATS)}"
            )
        if config.options:
            raise DeliveryError(f"delivery {config.name}: files have no option {', '.join(sorted(config.options))}")
        return cls(open_objects(config.url), name, config.work)

    @property
    def url(self) -> str:
        """See `Target`."""
        return self.store.url

    def delivered(self, table: str) -> Contents:
        """See `Target`."""
        return self._contents(self._manifest(table))

    def _contents(self, manifest: Manifest) -> Contents:
        # Files of another format are others, although their rows are the same.
        return {
            part: f"{file.content} as {file.format}" if file.format != self.format else file.content
            for part, file in manifest.files.items()
        }

    def deliver(self, shape: Shape, known: Contents, write: Sequence[StagedPart], remove: Sequence[str]) -> None:
        """See `Target`."""
        before = self._manifest(shape.table)
        if self._contents(before) != known:
            raise self._conflict(shape)
        written: list[File] = []
        now = dt.datetime.now(dt.UTC)
        try:
            for part in write:
                written.append(self._write(shape, part))
                reached(Delivery.WRITTEN)
            after = before.with_files(shape, written, remove, now)
            if not self.store.create(manifest_key(shape.table, after.number), after.to_json(now)):
                raise self._conflict(shape)
        except DeliveryError:
            # Not where the store failed: whether the version was made is not known then.
            self._give_up(shape, written)
            raise
        # Whom a day has passed by could make a version that was removed again since. From here on nothing is undone:
        # a higher version may as well be one that was built on this one.
        if self._newest(shape.table) != after.number:
            raise self._conflict(shape)
        reached(Delivery.COUNTS)
        # All is delivered by now. What can't be removed today goes with the next delivery.
        with suppress(ObjectStoreError):
            self.store.delete(list(leftovers(after, self.store.list(shape.table), now)))
        reached(Delivery.TIDIED)

    def _write(self, shape: Shape, part: StagedPart) -> File:
        made = self._format
        file = part.path.with_suffix(f".made{made.ending}")
        made.write(shape, part.path, file)
        key = file_key(part.part, shape.batch, made.ending)
        self.store.put(f"{shape.table}/{key}", file)
        size = file.stat().st_size
        file.unlink()
        return File(part.part, part.content, key, self.format, size, part.figures.rows)

    def _give_up(self, shape: Shape, written: Sequence[File]) -> None:
        """Remove what was written and will never count."""
        with suppress(ObjectStoreError):
            self.store.delete([f"{shape.table}/{file.file}" for file in written])

    def read_back(self, shape: Shape, parts: Collection[str] | None) -> Mapping[str, Figures]:
        """See `Target`."""
        manifest = self._manifest(shape.table)
        return dict(self._read_back(shape, manifest, manifest.files.keys() if parts is None else parts))

    def _read_back(self, shape: Shape, manifest: Manifest, parts: Collection[str]) -> Iterator[tuple[str, Figures]]:
        for part in sorted(parts):
            if file := manifest.files.get(part):
                local = self.work / f"read_back{FORMATS[file.format].ending}"
                try:
                    self.store.download(f"{shape.table}/{file.file}", local)
                    yield part, FORMATS[file.format].figures(shape, local)
                except ObjectMissing:
                    continue
                except DeliveryError as error:
                    raise DeliveryError(f"{self.url}/{shape.table}/{file.file} can't be read back: {error}") from None
                finally:
                    local.unlink(missing_ok=True)

    @property
    def _format(self) -> FileFormat:
        return FORMATS[self.format]

    def _manifest(self, table: str) -> Manifest:
        """What counts now."""
        number = self._newest(table)
        if number == 0:
            return Manifest(table)
        key = manifest_key(table, number)
        return read_manifest(self.store.get(key), f"{self.url}/{key}")

    def _newest(self, table: str) -> int:
        """The number of the newest version; 0: there is none."""
        return max((number_of(found.key) or 0 for found in self.store.list(f"{table}/{FOLDER}")), default=0)

    def _conflict(self, shape: Shape) -> DeliveryConflict:
        return DeliveryConflict(
            f"{self.url}/{shape.table}: another delivery was faster; what it delivered counts, and the next one brings"
            " what is missing"
        )
