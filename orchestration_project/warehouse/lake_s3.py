"""How DuckDB gets into the object store that has a lake's files: by the variables that deliveries go by, too."""

from collections.abc import Callable
from urllib.parse import urlsplit

from orchestration_project.setting_values import SettingsError
from orchestration_project.settings import documented
from orchestration_project.warehouse.tables import literal

PATH_STYLE = ("", "0", "false", "no")


def secret_of(data: str, read: Callable[[str], str] = documented) -> str:
    """The statement that makes the secret for one place in S3, for one connection.

    Args:
        data: the URL of the place.
        read: gives the value of an environment variable, empty if it is not set.

    Raises:
        SettingsError: there are no credentials.
    """
    key, secret = read("AWS_ACCESS_KEY_ID"), read("AWS_SECRET_ACCESS_KEY")
    if not (key and secret):
        raise SettingsError("a lake on S3 needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment")
    endpoint = urlsplit(read("AWS_ENDPOINT_URL_S3") or read("AWS_ENDPOINT_URL") or read("AWS_ENDPOINT"))
    # Stores of others than Amazon mostly have no host name for each bucket.
    hosted = read("AWS_VIRTUAL_HOSTED_STYLE_REQUEST").casefold() not in PATH_STYLE or not endpoint.netloc
    parts = {
        "KEY_ID": key,
        "SECRET": secret,
        "SESSION_TOKEN": read("AWS_SESSION_TOKEN"),
        "REGION": read("AWS_REGION") or read("AWS_DEFAULT_REGION") or "us-east-1",
        "ENDPOINT": endpoint.netloc,
        "URL_STYLE": "vhost" if hosted else "path",
        "USE_SSL": "false" if endpoint.scheme == "http" else "true",
    }
    listed = "".join(f", {name} {literal(value)}" for name, value in parts.items() if value)
    return f"CREATE TEMPORARY SECRET data (TYPE s3{listed}, SCOPE {literal(data)})"
