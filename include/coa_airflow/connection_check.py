"""Do the orgs let us in, and may we do there what a run needs? Asked in seconds, both orgs side by side.

For `make check` and for the task `check` of `coa_preflight`; what needs data is asked by the preflight itself.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from coa.errors import CoaError, ConfigurationError, OrgUnavailable

if TYPE_CHECKING:
    from coa.config import RunParams
    from coa.salesforce.describe import Describe
    from coa.salesforce.session import Org
    from coa.staging.runs import Run


@dataclass(frozen=True)
class Item:
    """One line. `good` is None for what wants a look and stops nothing."""

    name: str
    good: bool | None
    text: str
    next_step: str = ""

    def __str__(self) -> str:
        mark = {True: "ok   ", None: "look ", False: "WRONG"}[self.good]
        return f"{mark}  {self.name}: {self.text}" + (
            f" Next step: {self.next_step}" if self.next_step else ""
        )


@dataclass(frozen=True)
class Seen:
    """What an org showed of itself."""

    identity: dict[str, Any]
    describes: dict[str, Describe]


def asked(name: str, question: Callable[[], Seen]) -> Seen | Item:
    """The answer, or the line that says why there is none."""
    try:
        return question()
    except OrgUnavailable as error:
        return Item(name, False, error.message, error.next_step or "check its address and the network.")
    except CoaError as error:
        return Item(name, False, error.message, error.next_step)


def look_at(org: Org) -> Seen:
    """Who the org is, and the app's objects as its user sees them."""
    from coa.model import COA_OBJECTS
    from coa.preflight.orgs import identify
    from coa.salesforce.composite import Read, read_together
    from coa.salesforce.describe import described

    identity = {**identify(org), "unknown_extras": org.connection.unknown_extras}
    answers = read_together(org, [Read(path=f"/sobjects/{n}/describe", kind="describe") for n in COA_OBJECTS])
    return Seen(identity, {one.name: one for one in map(described, answers) if one is not None})


def entered(role: str, seen: Seen) -> Item:
    """The line of an org that let us in."""
    who = seen.identity
    kind = "sandbox" if who["is_sandbox"] else "production"
    unread = ", ".join(who["unknown_extras"])
    return Item(
        f"{role} ({who['connection']})",
        True,
        f"{who['name']} {who['id']} ({kind}), {who['instance_url']}, API {who['api_version']}."
        + (f" Unknown extras: {unread}." if unread else ""),
    )


def rights(seen: dict[str, Seen], params: RunParams) -> list[Item]:
    """Two different orgs, the app, the migration fields, the rights to write. `seen` by role."""
    from coa.preflight.look import Orgs
    from coa.preflight.register import CHECKS, QuickCheck

    orgs = Orgs(
        params,
        {role: one.identity for role, one in seen.items()},
        {role: one.describes for role, one in seen.items()},
    )
    findings = [f for check in CHECKS if isinstance(check, QuickCheck) for f in check.find(orgs)]
    wrong = [
        Item("rights", None if f.severity != "blocker" else False, f.message, f.next_step) for f in findings
    ]
    if len(seen) < 2:
        wrong.append(Item("rights", None, "not fully looked at: an org did not let us in."))
    return wrong or [Item("rights", True, "the app, the migration fields and the rights to write are there.")]


def told(found: dict[str, Seen | Item], params: RunParams) -> list[Item]:
    """The lines of what was found by role: how each org let us in, then the rights of those that did."""
    seen = {role: one for role, one in found.items() if isinstance(one, Seen)}
    orgs = [one if isinstance(one, Item) else entered(role, one) for role, one in found.items()]
    return [*orgs, *rights(seen, params)]


def check_run(run: Run, open_org: Callable[[str], Org]) -> list[Item]:
    """All items of a run's orgs; `open_org(role)`. Raises `ConfigurationError` that names all that is wrong."""
    from coa.salesforce.usage import count_calls

    def look(role: str) -> Seen | Item:
        name = f"{role} ({getattr(run.params, f'{role}_conn_id')})"

        def question() -> Seen:
            org = open_org(role)
            try:
                return look_at(org)
            finally:
                count_calls(run, role, org)

        return asked(name, question)

    with ThreadPoolExecutor(2) as threads:
        found = dict(zip(("source", "target"), threads.map(look, ("source", "target")), strict=True))
    items = told(found, run.params)
    wrong = [item for item in items if item.good is False]
    if wrong:
        raise ConfigurationError(
            "The connections are not in order: " + " ".join(f"{one.name}: {one.text}" for one in wrong),
            next_step=" ".join(dict.fromkeys(one.next_step for one in wrong if one.next_step)),
        )
    return items
