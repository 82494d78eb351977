"""What `defs.yaml` may say of files on an SFTP server. Nothing is opened here."""

from typing import Annotated, Self
from urllib.parse import quote

from pydantic import Field, model_validator

from orchestration_project.settings import is_named
from orchestration_project.sources.naming import NamedFiles

SECRETS = ("password", "key", "passphrase")
HOW_TO_GET_IT = (
    "have the server's owner tell you the fingerprint of its key, which `ssh-keygen -lf` of that key prints, and set"
    " `host_key` to it; or name a file as `known_hosts`"
)


# The input is not told in errors: somebody may have written a password there.
class SftpOptions(NamedFiles, frozen=True, extra="forbid", hide_input_in_errors=True):
    """Files on an SFTP server."""

    host: Annotated[str, Field(description="Name or address of the server, or `env:NAME`.")]
    port: Annotated[int, Field(ge=1, le=65535, description="Its port.")] = 22
    user: Annotated[str, Field(description="Whom to log in as, or `env:NAME`.")]
    password: Annotated[str | None, Field(repr=False, description="Password: always `env:NAME`.")] = None
    key: Annotated[str | None, Field(repr=False, description="Private key itself, as text: always `env:NAME`.")] = None
    key_file: Annotated[str | None, Field(description="Absolute path of a file with the private key.")] = None
    passphrase: Annotated[
        str | None, Field(repr=False, description="Passphrase of the private key: always `env:NAME`.")
    ] = None
    host_key: Annotated[
        str | None,
        Field(description="Fingerprint of the server's key, `SHA256:...`. Without it, `known_hosts` is needed."),
    ] = None
    known_hosts: Annotated[
        str | None,
        Field(description="Absolute path of a file with the keys of servers, in the form of OpenSSH."),
    ] = None
    path: Annotated[
        str, Field(min_length=1, description="Folder on the server; a relative one begins in the user's home.")
    ] = "."
    recursive: Annotated[bool, Field(description="Whether the folders below it are looked into.")] = False
    timeout_seconds: Annotated[float, Field(gt=0, description="How long a connection or an answer may take.")] = 30.0

    @property
    def url(self) -> str:
        """Where it is, fit to be shown; empty where a variable has the host."""
        if is_named(self.host):
            return ""
        return f"sftp://{self.host}:{self.port}/{quote(self.path.lstrip('/'))}"

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        given = {name: value for name in SECRETS if (value := getattr(self, name)) is not None}
        if literal := [name for name, value in given.items() if not is_named(value)]:
            raise ValueError(f"{literal[0]} has to be env:NAME, with the name of an environment variable")
        if self.host_key is None and self.known_hosts is None:
            raise ValueError(f"a server's key is always checked: {HOW_TO_GET_IT}")
        if self.host_key is not None and not self.host_key.startswith("SHA256:"):
            raise ValueError("host_key is a fingerprint, and begins with SHA256:")
        if not (self.password or self.key or self.key_file):
            raise ValueError("one of password, key, key_file is needed to log in")
        return self
