"""What `defs.yaml` may say of files in an object store. Nothing is opened here."""

import re
from typing import Annotated, Self

from pydantic import Field, model_validator

from orchestration_project.sources.naming import NamedFiles

DATE_FIELD = re.compile(r"\{(\w+)\}")
DATE_FIELDS = ("year", "month", "day", "hour")


class ObjectStoreOptions(NamedFiles, frozen=True, extra="forbid"):
    """Files in an object store: S3, Google Cloud Storage, Azure, or a folder."""

    url: Annotated[
        str,
        Field(
            description="Where the files are: `s3://bucket/prefix`, `gs://...`, `az://...`, `file:///folder` or an"
            " absolute path. `env:NAME` is the address that an environment variable of that name holds. Credentials are"
            " read from the environment, by the names that each service documents.",
        ),
    ]
    prefix: Annotated[
        str | None,
        Field(
            description="Folder of keys below `url` to which a listing is limited. With `{year}`, `{month}`, `{day}`,"
            " `{hour}` in it, such as `{year}/{month}/{day}`, it is one for each of the newest batches, in the feed's"
            " time zone; older ones are not looked at. Left out: all is listed."
        ),
    ] = None
    last_batches: Annotated[
        int, Field(ge=1, description="How many of the newest batches a `prefix` with a date in it stands for.")
    ] = 7

    @property
    def is_dated(self) -> bool:
        """Whether the prefix has a date in it."""
        return bool(self.prefix and DATE_FIELD.search(self.prefix))

    @model_validator(mode="after")
    def _has_known_fields(self) -> Self:
        fields = DATE_FIELD.findall(self.prefix or "")
        if unknown := [field for field in fields if field not in DATE_FIELDS]:
            known = ", ".join(f"{{{field}}}" for field in DATE_FIELDS)
            raise ValueError(f"prefix has {{{unknown[0]}}}, and the fields are {known}")
        # Without the year, 01/15 would stand for that day of each year, and only the newest batches would be meant.
        if fields and "year" not in fields:
            raise ValueError("prefix has a date without {year}")
        return self
