"""Addresses of web servers: which can be used, what may be shown of one, and whether two are of one server."""

from urllib.parse import urlsplit

from orchestration_project.errors import visible

SCHEMES = ("http", "https")
PORTS = {"http": 80, "https": 443}


def address_problem(url: str, login: str) -> str | None:
    """Why an address can't be used; None if it can. The address is not told: a password may be in it.

    Args:
        url: the address.
        login: the options that user and password belong to.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "is no address"
    if parts.scheme not in SCHEMES or not parts.hostname or port == 0:
        return "is no address that begins with http:// or https:// and a host"
    if "@" in parts.netloc:
        return f"has a user or a password in it, and addresses are shown; use {login}"
    return None


def shown(url: str, hides_path: bool = False) -> str:
    """An address without what may be secret: user, query, and perhaps the path."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return visible(f"{parts.scheme}://{host}{'' if hides_path else parts.path}")


def origin_of(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port of an address."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or PORTS.get(parts.scheme)
