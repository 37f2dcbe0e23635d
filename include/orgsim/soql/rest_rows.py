"""Query results as REST records: nested parents with ``attributes``, child relationships, aggregates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from orgsim.soql.compile import Plan
from orgsim.values import to_json_converter

if TYPE_CHECKING:
    from orgsim.org import Org

Record = dict[str, Any]


def fetch(org: Org, plan: Plan) -> list[tuple[Any, ...]]:
    """The raw rows: the columns, then the Id of each object involved."""
    columns = [one.sql for one in plan.columns] + [sql for _, sql in plan.parents.values()]
    return org.store.all(plan.sql(columns), plan.all_parameters())


def count(org: Org, plan: Plan) -> int:
    """The answer of ``SELECT COUNT() FROM ...``."""
    total = int(org.store.one(plan.sql(window=False), plan.all_parameters()) or 0)
    return total if plan.query.limit is None else min(total, plan.query.limit)


def render(org: Org, plan: Plan, rows: Sequence[tuple[Any, ...]], base: str) -> list[Record]:
    """Records of a page; ``base`` is ``/services/data/vXX.X``."""
    if plan.aggregate:
        return [_aggregate(plan, row) for row in rows]
    make = _builder(plan, base)
    records = [make(row) for row in rows]
    for name, link, child in plan.children:
        _attach(org, name, link.name, child, plan, rows, records, base)
    return records


def _aggregate(plan: Plan, row: tuple[Any, ...]) -> Record:
    record: Record = {"attributes": {"type": "AggregateResult"}}
    for column, value in zip(plan.columns, row, strict=True):
        convert = to_json_converter(None, column.kind)
        record[column.path[-1]] = convert(value) if convert is not None else value
    return record


def _builder(plan: Plan, base: str) -> Callable[[tuple[Any, ...]], Record]:
    width = len(plan.columns)
    paths = list(plan.parents)
    urls = [
        (path, sobject.name, f"{base}/sobjects/{sobject.name}/", width + n)
        for n, (path, (sobject, _)) in enumerate(plan.parents.items())
    ]
    own_columns: dict[tuple[str, ...], list[tuple[str, int, Callable[[Any], Any] | None]]] = {
        path: [] for path in paths
    }
    order: list[tuple[tuple[str, ...], str, int, Callable[[Any], Any] | None]] = []
    for position, column in enumerate(plan.columns):
        convert = to_json_converter(column.field, column.kind)
        parent = column.path[:-1] if column.path[:-1] in own_columns else ()
        own_columns[parent].append((column.path[-1], position, convert))
        order.append((parent, column.path[-1], position, convert))

    def make(row: tuple[Any, ...]) -> Record:
        nodes: dict[tuple[str, ...], Record | None] = {}
        for path, name, url, position in urls:
            record_id = row[position]
            if record_id is None and path:
                nodes[path] = None
            else:
                nodes[path] = {"attributes": {"type": name, "url": f"{url}{record_id}"}}
        root = nodes[()]
        assert root is not None
        placed: set[tuple[str, ...]] = set()
        for parent, name, position, convert in order:
            for depth in range(1, len(parent) + 1):
                path = parent[:depth]
                holder = nodes[path[:-1]]
                if path not in placed and holder is not None:
                    holder[path[-1]] = nodes[path]
                    placed.add(path)
            node = nodes[parent]
            if node is not None:
                value = row[position]
                node[name] = convert(value) if convert is not None else value
        return root

    return make


def _attach(
    org: Org,
    name: str,
    link: str,
    child: Plan,
    parent: Plan,
    rows: Sequence[tuple[Any, ...]],
    records: list[Record],
    base: str,
) -> None:
    """The relationship query of each parent of the page: LIMIT and ORDER BY hold per parent."""
    id_position = len(parent.columns) + list(parent.parents).index(())
    make = _builder(child, base)
    columns = [one.sql for one in child.columns] + [sql for _, sql in child.parents.values()]
    for row, record in zip(rows, records, strict=True):
        sql = child.sql(columns, f"t.\"{link}\" = '{row[id_position]}'")
        found = [make(one) for one in org.store.all(sql, child.all_parameters())]
        record[name] = {"totalSize": len(found), "done": True, "records": found} if found else None
