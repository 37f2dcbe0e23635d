"""By what people are told: Airflow's own notifiers, each by an Airflow connection.

The setting is a JSON list, an object a channel:

    [{"by": "smtp", "conn_id": "coa_mail", "to": ["ops@acme.com"], "about": ["gate", "reminder", "failure"]},
     {"by": "slack", "conn_id": "slack_api", "to": ["#channel-orders"]},
     {"by": "teams", "conn_id": "teams_orders"}]

`about` is left out for all kinds. Providers: `smtp` comes with Airflow; `slack`, `slack_webhook` and `teams` with the
extra `notify` of this package.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from coa.errors import ConfigurationError, InvalidParams
from coa_airflow.notify.messages import KINDS, Message

NEXT_STEP = (
    'write it as [{"by": "smtp", "conn_id": "...", "to": ["..."]}]; docs/notifications.md has all of it.'
)


@dataclass(frozen=True)
class Channel:
    """One way to tell people. `to`: mail addresses, or Slack channels; a web hook knows its own."""

    by: str
    conn_id: str
    to: tuple[str, ...] = ()
    about: frozenset[str] = frozenset(KINDS)

    @property
    def name(self) -> str:
        """How messages call it: what it is, and its connection."""
        return f"{self.by} {self.conn_id}"

    def send(self, message: Message) -> None:
        """Raises `ConfigurationError` where the provider is missing, and whatever the notifier raises."""
        try:
            notifiers = _NOTIFIERS[self.by](self, message)
        except ImportError as error:
            raise ConfigurationError(
                f"The Airflow provider for {self.by} is not installed.",
                next_step="install coa-migration[notify] where Airflow's workers and triggerer run.",
            ) from error
        for notifier in notifiers:
            # Called by its method: as a callback Airflow would render our text, and with it what an org wrote, as a
            # template.
            notifier.notify({})


def channels_of(text: str) -> list[Channel]:
    """Reads the setting; nothing is set: nobody is told. Raises `InvalidParams` with every fault at once."""
    if not text.strip():
        return []
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise InvalidParams(f"coa_notify is not valid JSON: {error}.", next_step=NEXT_STEP) from None
    if not isinstance(entries, list):
        raise InvalidParams("coa_notify is not a JSON list.", next_step=NEXT_STEP)
    faults = [f"entry {n}: {fault}" for n, entry in enumerate(entries, 1) for fault in _faults(entry)]
    if faults:
        raise InvalidParams(f"coa_notify is not usable: {'; '.join(faults)}.", next_step=NEXT_STEP)
    return [
        Channel(
            by=entry["by"],
            conn_id=entry["conn_id"],
            to=tuple(entry.get("to", ())),
            about=frozenset(entry.get("about") or KINDS),
        )
        for entry in entries
    ]


def _faults(entry: Any) -> list[str]:
    if not isinstance(entry, dict):
        return ["it is not an object"]
    by, to, about = entry.get("by"), entry.get("to", []), entry.get("about", [])
    unknown = sorted(set(entry) - {"by", "conn_id", "to", "about"})
    told = [f"unknown key {name!r}" for name in unknown]
    if by not in _NOTIFIERS:
        told.append(f"by is {by!r}, not one of {', '.join(_NOTIFIERS)}")
    if not isinstance(entry.get("conn_id"), str) or not entry["conn_id"]:
        told.append("conn_id does not name an Airflow connection")
    if not isinstance(to, list) or not all(isinstance(one, str) and one for one in to):
        told.append("to is not a list of addresses")
    elif by in ("smtp", "slack") and not to:
        told.append("to is empty")
    if not isinstance(about, list):
        told.append("about is not a list of kinds")
    else:
        told += [f"about has {one!r}, not one of {', '.join(KINDS)}" for one in about if one not in KINDS]
    return told


# ---- Airflow's notifiers; imported when one is used: a provider may be missing, and each takes its time -----
def _smtp(channel: Channel, message: Message) -> list[Any]:
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    return [
        SmtpNotifier(
            to=list(channel.to),
            subject=message.title,
            html_content=message.html(),
            smtp_conn_id=channel.conn_id,
        )
    ]


def _slack(channel: Channel, message: Message) -> list[Any]:
    from airflow.providers.slack.notifications.slack import SlackNotifier

    return [
        SlackNotifier(slack_conn_id=channel.conn_id, text=message.slack(), channel=one) for one in channel.to
    ]


def _slack_webhook(channel: Channel, message: Message) -> list[Any]:
    from airflow.providers.slack.notifications.slack_webhook import SlackWebhookNotifier

    return [SlackWebhookNotifier(slack_webhook_conn_id=channel.conn_id, text=message.slack())]


def _teams(channel: Channel, message: Message) -> list[Any]:
    """A workflow of Microsoft Teams takes an adaptive card by HTTP; the connection's host is its whole address."""
    from airflow.providers.http.notifications.http import HttpNotifier

    return [HttpNotifier(http_conn_id=channel.conn_id, json=message.teams_card())]


_NOTIFIERS: dict[str, Callable[[Channel, Message], list[Any]]] = {
    "smtp": _smtp,
    "slack": _slack,
    "slack_webhook": _slack_webhook,
    "teams": _teams,
}
