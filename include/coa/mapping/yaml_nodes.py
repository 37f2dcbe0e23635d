"""The nodes of a YAML document from outside, checked for size before they are built.

PyYAML builds recursively, and a few hundred bytes can describe millions of nodes by aliases of aliases. So the
events are counted first, which needs no depth and no memory.
"""

from __future__ import annotations

import yaml
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    Event,
    NodeEvent,
)
from yaml.nodes import Node

DEEPEST = 20
"""A mapping file has four levels."""
MOST_NODES = 500_000
"""With every alias counted as all that it stands for."""


class NoYaml(Exception):
    """What is wrong with a document: its line and column (0: unknown), and words without anything that stands in it."""

    def __init__(self, what: str, line: int = 0, column: int = 0) -> None:
        super().__init__(what)
        self.line, self.column = line, column

    @property
    def position(self) -> str:
        """`line 3, column 5: `, or nothing where it is not known."""
        return f"line {self.line}, column {self.column}: " if self.line else ""


def compose(text: str) -> Node | None:
    """The root of a document, None for an empty one. Raises `NoYaml`."""
    try:
        _count(text)
        root: Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise NoYaml(_words(error.problem), *((mark.line + 1, mark.column + 1) if mark else (0, 0))) from None
    except yaml.YAMLError as error:
        # A character that YAML does not allow.
        position = getattr(error, "position", None)
        before = text[:position] if isinstance(position, int) else ""
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise NoYaml("a character that YAML does not allow", line, column) from None
    return root


def _words(problem: str | None) -> str:
    """What PyYAML says up to where it begins to quote the document."""
    return (problem or "it cannot be parsed").split("'")[0].split('"')[0].strip()


def _count(text: str) -> None:
    """Raises `NoYaml` for a document that is too deep, too large with its aliases, or contains itself."""
    counted = 0
    open_nodes: list[tuple[str | None, int]] = []
    sizes: dict[str, int] = {}
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, AliasEvent):
            if any(anchor == event.anchor for anchor, _ in open_nodes):
                raise _at(event, "an alias of something that contains it")
            counted += sizes.get(event.anchor or "", 1)
        elif isinstance(event, NodeEvent):
            counted += 1
            if isinstance(event, CollectionStartEvent):
                open_nodes.append((event.anchor, counted))
                if len(open_nodes) > DEEPEST:
                    raise _at(event, f"more than {DEEPEST} levels")
            elif event.anchor:
                sizes[event.anchor] = 1
        elif isinstance(event, CollectionEndEvent):
            anchor, before = open_nodes.pop()
            if anchor:
                sizes[anchor] = counted - before + 1
        if counted > MOST_NODES:
            raise _at(event, f"more than {MOST_NODES:,} entries, with its aliases")


def _at(event: Event, what: str) -> NoYaml:
    mark = event.start_mark
    return NoYaml(what, *((mark.line + 1, mark.column + 1) if mark else (0, 0)))
