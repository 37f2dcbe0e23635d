"""Notifies people: a gate waits, a run has ended, orders are left as Draft.

Who is notified, and by what: the Airflow variable `coa_notify` (for the DAGs of another prefix
`<prefix>_notify`, where there is one), else the environment variable COA_NOTIFY; see `channels`. Messages
contain counts, sums and names of orgs, never a record. A message that cannot be sent is only a line in the
run's log: no run depends on it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from coa.errors import CoaError
from coa_airflow.environment import setting
from coa_airflow.notify.channels import Channel, channels_of
from coa_airflow.notify.messages import Message

if TYPE_CHECKING:
    from coa.staging.runs import Run

log = structlog.get_logger(__name__)

NOTIFIED = "notified"
"""Event of a run: somebody was told; data: kind, key, channels."""


def configured(dag_id: str) -> list[Channel]:
    """The channels of the DAGs of this prefix. Raises `InvalidParams` for a setting that cannot be used."""
    prefix = dag_id.rpartition("_")[0] or "coa"
    text = setting("notify", f"{prefix}_notify") if prefix != "coa" else ""
    return channels_of(text or setting("notify"))


def notify(run: Run, kind: str, message: Callable[[], Message], *, once: str = "") -> None:
    """Sends a message by each channel that asks for its kind. Never raises.

    `message` is called only where somebody is to be told. `once`: a message of this kind with the same key is sent once
    for a run, whichever task comes to it.
    """
    try:
        wanted = [one for one in configured(run.record.dag_id) if kind in one.about]
        if not wanted or (once and not _first(run, kind, once)):
            return
        text = message()
    except Exception as error:  # noqa: BLE001  # a wrong setting, or Airflow cannot be asked for it
        _failed(run, kind, "", error)
        return
    sent = []
    for channel in wanted:
        try:
            channel.send(text)
        except Exception as error:  # noqa: BLE001  # whatever a mail server or a web hook answers
            _failed(run, kind, channel.name, error)
        else:
            sent.append(channel.name)
    if sent and not once:
        run.events.add(NOTIFIED, kind=kind, key="", channels=sent)


def _first(run: Run, kind: str, key: str) -> bool:
    """Whether nobody has begun to tell this; from now on somebody has."""
    with run.db.advisory_lock(f"coa notify {run.run_id}"):
        if run.db.value(
            """SELECT EXISTS (SELECT FROM coa.event WHERE run_id = %s AND event = %s
                              AND data ->> 'kind' = %s AND data ->> 'key' = %s)""",
            [run.run_id, NOTIFIED, kind, key],
        ):
            return False
        run.events.add(NOTIFIED, kind=kind, key=key)
        return True


def _failed(run: Run, kind: str, channel: str, error: Exception) -> None:
    # What a library says may repeat the address of a web hook, which is a secret.
    why = str(error) if isinstance(error, CoaError) else type(error).__name__
    log.warning("nobody could be notified", kind=kind, channel=channel, why=why)
    run.events.add("notification_failed", "warning", kind=kind, channel=channel, why=why)
