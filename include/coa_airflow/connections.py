"""From an Airflow connection of type `salesforce` to what the engine needs to enter an org.

Fields and extras are those of the Salesforce provider (short names, or the older
`extra__salesforce__...`), read so that every way of writing the same org means the same org.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from coa.errors import ConfigurationError
from coa.files import MOST_KEY_BYTES, NotReadable, read_regular
from coa.salesforce.auth import OrgConnection, check_url, is_loopback

LEGACY_PREFIX = "extra__salesforce__"
READ = frozenset(
    {
        *("domain", "instance", "instance_url", "session_id", "security_token", "audience", "version"),
        *("consumer_key", "consumer_secret", "private_key", "private_key_file_path"),
    }
)
KNOWN = READ | {"organization_id", "client_id", "proxies"}
"""Extras of the Salesforce provider; those that only it reads are no mistakes either."""
GENERAL_LOGIN = "https://login.salesforce.com"


class ConnectionFields(Protocol):
    """The part of `airflow.sdk.Connection` that we read."""

    host: str | None
    port: int | None
    schema: str | None
    login: str | None
    password: str | None

    @property
    def extra_dejson(self) -> dict[str, Any]:
        """The extras as a dict."""


def org_connection(name: str, fields: ConnectionFields) -> OrgConnection:
    """Reads connection `name`. Raises `ConfigurationError` that names it and says what to change."""
    extras = _extras(fields.extra_dejson)
    instance_url = _address(extras.get("instance_url") or extras.get("instance", ""))
    uses_session = bool(extras.get("session_id"))
    login_url = _login_url(fields, extras.get("domain", ""))
    if not login_url and uses_session:
        login_url = instance_url
    if not login_url and (fields.login or extras.get("private_key") or extras.get("private_key_file_path")):
        # JWT bearer and passwords work on the general login host, as the provider has it.
        login_url = GENERAL_LOGIN
    if not login_url:
        raise ConfigurationError(
            f"Connection {name} does not say where the org is.",
            next_step="set its host to the My Domain address, such as https://acme.my.salesforce.com, "
            "or its extra `domain` to acme.my.",
        )
    if uses_session and not instance_url:
        instance_url = login_url
    return OrgConnection(
        name=name,
        login_url=check_url(login_url, name),
        username=fields.login or "",
        password=fields.password or "",
        security_token=extras.get("security_token", ""),
        consumer_key=extras.get("consumer_key", ""),
        consumer_secret=extras.get("consumer_secret", ""),
        private_key=_private_key(name, extras),
        audience=extras.get("audience", ""),
        session_id=extras.get("session_id", ""),
        instance_url=check_url(instance_url, name) if instance_url else "",
        api_version=_version(name, extras.get("version", "")),
        unknown_extras=tuple(_named(extra) for extra in sorted(set(extras) - KNOWN)),
    )


def _named(extra: str) -> str:
    """The name of an extra that nobody reads, and the one that may be meant; never its value."""
    close = get_close_matches(extra, sorted(READ), 1)
    return f"{extra} (is {close[0]} meant?)" if close else extra


def _extras(raw: dict[str, Any]) -> dict[str, str]:
    """Filled extras by their short names; a short name wins over its legacy twin."""
    found: dict[str, str] = {}
    for name, value in raw.items():
        short = name.removeprefix(LEGACY_PREFIX)
        if value in (None, "") or (short != name and raw.get(short)):
            continue
        # A multi-line PEM keeps its inner line breaks; blanks around a pasted value mean nothing.
        found[short] = str(value).strip()
    return found


def _login_url(fields: ConnectionFields, domain: str) -> str:
    host = (fields.host or "").strip()
    if host:
        return _address(host, fields.port, (fields.schema or "").strip().lower())
    if not domain:
        return ""
    if "://" in domain or domain.endswith(".com"):
        return _address(domain)
    return f"https://{domain}.salesforce.com"


def _address(host: str, port: int | None = None, schema: str = "") -> str:
    """`scheme://host[:port]` from a host with or without its scheme, port or path."""
    if not host:
        return ""
    if "://" not in host:
        bare = host.split("/", 1)[0]
        name = urlsplit(f"//{bare}").hostname or bare
        # A local org speaks http as a rule; anything else must be asked for by its scheme.
        usual = "http" if is_loopback(name) else "https"
        host = f"{schema if schema in ('http', 'https') else usual}://{host}"
    parts = urlsplit(host)
    name = parts.netloc.rsplit("@", 1)[-1]
    has_port = bool(re.search(r":\d+$", name))
    return f"{parts.scheme}://{name}" if has_port or not port else f"{parts.scheme}://{name}:{port}"


def _private_key(name: str, extras: dict[str, str]) -> str:
    text = extras.get("private_key", "")
    if text:
        # In an environment variable or a URI the line breaks are often written as \n.
        return text.replace("\\n", "\n")
    path = extras.get("private_key_file_path", "")
    if not path:
        return ""
    try:
        return read_regular(Path(path).expanduser(), MOST_KEY_BYTES).decode("utf-8")
    except (NotReadable, UnicodeDecodeError) as error:
        reason = str(error) if isinstance(error, NotReadable) else "it is not a text file"
        # Without the error itself: that of the decoding holds the file's bytes.
        raise ConfigurationError(
            f"Connection {name}: the private key file {path} cannot be read: {reason}.",
            next_step="correct the extra `private_key_file_path`; the file must exist on every worker.",
        ) from None


def _version(name: str, text: str) -> str:
    if not text:
        return ""
    found = re.fullmatch(r"[vV]?(\d{2,3})(?:\.0)?", text)
    if not found:
        raise ConfigurationError(
            f"Connection {name}: the extra `version` is {text!r}.",
            next_step="set it to an API version such as 67.0, or remove it to use the newest that we tested.",
        )
    return f"{found.group(1)}.0"
