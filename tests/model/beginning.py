"""The beginning of a load as pure functions: the canary, its proof, and one pass until it has to end.

It follows `coa.load.canary`, `coa.load.one_pass`, `coa.load.steps` and `coa.canary`, call by call and transaction by
transaction. How a job survives anything is walked through in `tests.model.protocol`; here a job is its row, the org's
work and the note of its outcome, and a process may be killed between any two of them.

The world: `orders` orders with one detail each. The first of the canary is tried first, then its others, then one
chunk an order. The target makes Drafts of what is created as soon as somebody switches its rule on, whenever that is;
it takes details under released orders, or it does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any, NamedTuple

from tests.model.protocol import put


class BeginningSabotage(StrEnum):
    """A safety step that is taken out; each must lead to a broken promise."""

    SELECTION = "a canary is resumed with another selection"
    GO_ON = "one pass goes on after the rule was seen to be switched on"
    LOOK = "nobody looks at what a job of one pass made"
    UNIT = "an order whose details were refused is passed over"


class BeginningBounds(NamedTuple):
    orders: int = 4
    canary: int = 2
    kills: int = 1
    switches: int = 1


class Item(NamedTuple):
    """An order. `work`: its row, none, sent or accepted; `way`: one_pass, or todays (as a Draft, released later), or
    back (set back to Draft); `org`: what stands there, nothing, D for Draft or R for released."""

    work: str = "-"
    way: str = "one_pass"
    looked_at: bool = False
    listed: bool = False
    org: str = "-"
    detail: bool = False


class Beginning(NamedTuple):
    """`kept`: the selection in the database; `hand`: the one that the process works with."""

    items: tuple[Item, ...]
    kept: tuple[int, ...] = ()
    hand: tuple[int, ...] = ()
    first: tuple[int, ...] = ()
    """The selection that was made first: what may be written before the proof."""
    open: bool = True
    hit: bool = False
    proved: bool = False
    rule_on: bool = False
    refuses: bool = False
    at: str = "choose"
    group: int = 0
    kills: int = 0
    switches: int = 0
    broken: str = ""


Move = tuple[str, Beginning]
OVER = ("done", "stopped")


class BeginningProtocol:
    """All that can happen within some bounds, with or without a sabotage."""

    def __init__(self, bounds: BeginningBounds, sabotage: BeginningSabotage | None = None) -> None:
        self.bounds, self.sabotage = bounds, sabotage

    def without(self, step: BeginningSabotage) -> bool:
        return self.sabotage == step

    def first(self) -> Beginning:
        b = self.bounds
        return Beginning((Item(),) * b.orders, kills=b.kills, switches=b.switches, at="world")

    def tidied(self, _: Beginning, after: Beginning) -> Beginning:
        return after

    # ---- all that can happen next ---------------------------------------------------------------
    def moves(self, s: Beginning) -> Iterator[Move]:
        if s.at == "world":
            yield "the target takes details under any order", s._replace(at="choose")
            yield "the target refuses details under released orders", s._replace(at="choose", refuses=True)
            return
        if s.at not in OVER:
            yield from getattr(self, f"at_{s.at}")(s)
            if s.kills:
                yield (
                    "the process is killed and started again",
                    s._replace(at="choose", group=0, hand=(), kills=s.kills - 1),
                )
        if s.switches:
            yield "somebody switches the rule on", s._replace(rule_on=True, switches=s.switches - 1)

    def members(self, s: Beginning) -> list[int]:
        if s.group == 0:
            return list(s.hand[:1])
        if s.group == 1:
            return list(s.hand[1:])
        others = [i for i in range(len(s.items)) if i not in s.hand]
        return others[s.group - 2 : s.group - 1]

    def changed(self, s: Beginning, i: int, **values: Any) -> Beginning:
        return s._replace(items=put(s.items, i, s.items[i]._replace(**values)))

    # ---- what the process does ------------------------------------------------------------------
    def at_choose(self, s: Beginning) -> Iterator[Move]:
        """`choose_canary`: once, kept in a table before the first write."""
        hand = s.kept
        if not hand or self.without(BeginningSabotage.SELECTION):
            new = [i for i, item in enumerate(s.items) if item.work == "-"]
            hand = tuple(new[: self.bounds.canary])
        yield (
            f"takes {hand} as its canary",
            s._replace(kept=hand, hand=hand, first=s.first or hand, at="plan"),
        )

    def at_plan(self, s: Beginning) -> Iterator[Move]:
        """Rows of the group: which way each goes is in the database before anything is sent."""
        for i in self.members(s):
            item = s.items[i]
            if item.work != "-":
                continue
            way = "one_pass" if s.open else "todays"
            s = self.changed(s, i, work="sent", way=way)
            if s.hit and way == "one_pass":
                s = s._replace(broken="an order was sent with its status after the rule was seen to be on")
        yield f"plans group {s.group}", s._replace(at="insert")

    def at_insert(self, s: Beginning) -> Iterator[Move]:
        """The org's work: an order that is there already is refused as a duplicate, and found by its key."""
        for i in self.members(s):
            item = s.items[i]
            if item.org != "-":
                continue
            released = item.way == "one_pass" and not s.rule_on
            s = self.changed(s, i, org="R" if released else "D")
            if not s.proved and i not in s.first:
                s = s._replace(broken="something beside the canary was written before its proof")
        yield "the org creates the group's orders", s._replace(at="note")

    def at_note(self, s: Beginning) -> Iterator[Move]:
        for i in self.members(s):
            s = self.changed(s, i, work="accepted")
        yield "notes what was created", s._replace(at="look")

    def at_look(self, s: Beginning) -> Iterator[Move]:
        """`_look_at`: what was found, and that it was asked, is one transaction."""
        for i in self.members(s):
            item = s.items[i]
            if item.way != "one_pass" or item.looked_at or self.without(BeginningSabotage.LOOK):
                continue
            s = self.changed(s, i, looked_at=True)
            if item.org == "D":
                s = self.changed(s, i, way="todays")
                s = s._replace(hit=True, open=s.open and self.without(BeginningSabotage.GO_ON))
        yield "looks at what it sent with its status", s._replace(at="details")

    def at_details(self, s: Beginning) -> Iterator[Move]:
        for i in self.members(s):
            if not (s.refuses and s.items[i].org == "R"):
                s = self.changed(s, i, detail=True)
        yield "the org takes the details that it takes", s._replace(at="judge")

    def at_judge(self, s: Beginning) -> Iterator[Move]:
        """`settle_units`: in the canary the order goes back to Draft, later it is listed."""
        for i in self.members(s):
            item = s.items[i]
            if item.way != "one_pass" or item.detail or self.without(BeginningSabotage.UNIT):
                continue
            if s.group < 2:
                s = self.changed(s, i, way="back")._replace(open=False)
            else:
                s = self.changed(s, i, listed=True)
        yield "judges orders with their details", s._replace(at="set_back")

    def at_set_back(self, s: Beginning) -> Iterator[Move]:
        for i in self.members(s):
            if s.items[i].way == "back" and not s.items[i].detail:
                s = self.changed(s, i, org="D")
        yield "sets orders back to Draft", s._replace(at="details_again")

    def at_details_again(self, s: Beginning) -> Iterator[Move]:
        for i in self.members(s):
            if s.items[i].way == "back" and s.items[i].org == "D":
                s = self.changed(s, i, detail=True)
        yield "sends refused details again", s._replace(at="release")

    def at_release(self, s: Beginning) -> Iterator[Move]:
        """`_set_statuses`: a Draft with all its details leaves it; what was created released needs no status."""
        for i in self.members(s):
            item = s.items[i]
            if item.way != "one_pass" and item.org == "D" and item.detail:
                s = self.changed(s, i, org="R")
        yield "releases Drafts", self.next_group(s)

    def next_group(self, s: Beginning) -> Beginning:
        if s.group == 1 and not s.proved:
            return s._replace(at="prove")
        last = 1 + len(s.items) - len(s.hand)
        return s._replace(at="done") if s.group == last else s._replace(at="plan", group=s.group + 1)

    def at_prove(self, s: Beginning) -> Iterator[Move]:
        good = all(s.items[i].org == "R" and s.items[i].detail for i in s.hand)
        if good:
            yield "the canary is proved equal", s._replace(proved=True, at="plan", group=2)
        else:
            yield "the canary differs: stops", s._replace(at="stopped")

    # ---- promises -------------------------------------------------------------------------------
    def broken(self, s: Beginning) -> str:
        """The promise that this state breaks, '' for none."""
        if s.broken:
            return s.broken
        if s.at == "done":
            if any(item.org == "D" for item in s.items):
                return "a run ended well and an order of it stands as a Draft"
            if any(not item.detail and not item.listed for item in s.items):
                return "an order lacks its detail and nobody says so"
        if s.at == "stopped":
            return "a canary fails although nothing but the rule and the details was in its way"
        return ""

    def stuck(self, s: Beginning) -> str:
        return "" if s.at in OVER else "the load waits for ever"
