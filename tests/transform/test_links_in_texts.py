"""Links in texts lead to the moved records: written once they are known, proved, and left alone by the next run."""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg import sql

from coa.model import CUSTOMER, DETAIL, DETAIL_ORDER, NS, ORDER, ORDER_CUSTOMER, SOURCE_ID
from coa.staging.tables import Table
from tests.delta.conftest import pair  # noqa: F401 - a fixture
from tests.engine.harness import BEFORE_PLAN, Migrator
from tests.engine.undo import roll_back
from tests.reconcile.pairs import edit, table
from tests.reconcile.test_gaps import rows

TEXT = NS + "Invoice_Description__c"
LINE_TEXT = NS + "Product_Line_Description__c"
MAPPING = f"""
fields:
  Service_Order__c:
    {TEXT}: rewrite_links
  Service_Order_Detail__c:
    {LINE_TEXT}: {{rewrite_links: true}}
"""


@pytest.mark.parametrize("canary", [4, pytest.param(0, marks=pytest.mark.lane)])
def test_links_follow_the_records(pair: Migrator, tmp_path: Path, canary: int) -> None:  # noqa: F811
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(MAPPING)
    source, target = pair.source.url, pair.target.url
    blocked = set(pair.source.control("GET", "planted")["blocked_orders"])
    orders = [i for i in sorted(table(pair.source, ORDER)) if i not in blocked]
    missing = sorted(blocked)[0]
    line = next(r for r in table(pair.source, DETAIL).values() if r[DETAIL_ORDER] == orders[3])
    customer = table(pair.source, ORDER)[orders[4]][ORDER_CUSTOMER]
    texts = {
        (ORDER, orders[0]): f"see {source}/{orders[-1]} and {source}/{missing}.",
        (ORDER, orders[1]): f"{source}/lightning/r/{ORDER}/{orders[1][:15]}/view\r\n \t{source}/{orders[0]}",
        (ORDER, orders[2]): f'<a href="{source}/{customer}/e?x=1">{customer}</a>',
        (ORDER, orders[5]): "no link at all",
        (DETAIL, line["Id"]): f"{source}/{line['Id']} {source}/{orders[3]}",
    }
    for (sobject, record), text in texts.items():
        field = TEXT if sobject == ORDER else LINE_TEXT
        pair.source.control("PATCH", f"records/{sobject}/{record}", {field: text}, raw="true")
    params = {"mapping": str(mapping), "canary": canary, "chunk_size": 10, "draft_orders": "load"}

    done = pair.migrate(**params)

    assert done.state == "verified", done.error

    def moved() -> dict[str, str]:
        return {
            r[SOURCE_ID]: i
            for name in (CUSTOMER, ORDER, DETAIL)
            for i, r in table(pair.target, name).items()
            if r.get(SOURCE_ID)
        }

    def arrived() -> dict[tuple[str, str], str]:
        return {
            (name, r[SOURCE_ID]): r[field]
            for name, field in ((ORDER, TEXT), (DETAIL, LINE_TEXT))
            for r in table(pair.target, name).values()
            if (name, r.get(SOURCE_ID)) in texts
        }

    new = moved()
    customer_there = new.get(customer) or next(
        r["record_target_id"] for r in rows(done, "references.csv") if r["record_id"] == customer
    )
    expected = {
        (ORDER, orders[0]): f"see {target}/{new[orders[-1]]} and {source}/{missing}.",
        (
            ORDER,
            orders[1],
        ): f"{target}/lightning/r/{ORDER}/{new[orders[1]][:15]}/view\r\n \t{target}/{new[orders[0]]}",
        (ORDER, orders[2]): f'<a href="{target}/{customer_there}/e?x=1">{customer}</a>',
        (ORDER, orders[5]): "no link at all",
        (DETAIL, line["Id"]): f"{target}/{new[line['Id']]} {target}/{new[orders[3]]}",
    }
    assert arrived() == expected
    listed = {
        (r["found"], r["rewritten_to"], r["kept_because"])
        for r in rows(done, "references.csv")
        if r["source_id"] == orders[0]
    }
    assert listed == {
        (f"{source}/{orders[-1]}", f"{target}/{new[orders[-1]]}", ""),
        (f"{source}/{missing}.", "", "not_in_target"),
    }
    explained = {
        r["source_id"]: (r["kind"], r["source_value"], r["target_value"])
        for r in rows(done, "differences.csv")
        if r["field"] == TEXT and (ORDER, r["source_id"]) in texts
    }
    assert explained == {
        i: ("explained", texts[ORDER, i], expected[ORDER, i]) for i in (orders[0], orders[1], orders[2])
    }

    again = pair.migrate(**params)

    assert again.state == "verified", again.error
    for counts in again.summary["objects"].values():
        assert counts["to_insert"] == counts["to_update"] == 0
    assert arrived() == expected

    later = pair.migrate(**params, mode="delta")
    assert later.state == "verified", later.error
    assert arrived() == expected


@pytest.mark.lane
def test_a_link_follows_when_its_record_comes_later(pair: Migrator, tmp_path: Path) -> None:  # noqa: F811
    """Held at first, moved by a later run: the text of a record that is there already is updated, and put back by a
    roll-back."""
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(MAPPING)
    source, target = pair.source.url, pair.target.url
    blocked = set(pair.source.control("GET", "planted")["blocked_orders"])
    orders = {i: r for i, r in sorted(table(pair.source, ORDER).items()) if i not in blocked}
    draft = next(i for i, r in orders.items() if r[NS + "Service_Order_Status__c"] == "Draft")
    settled = [i for i, r in orders.items() if r[NS + "Service_Order_Status__c"] == "Provisioned"]
    text = f"follows {source}/{draft}"
    edit(pair.source, ORDER, settled[0], **{TEXT: text})
    params = {"mapping": str(mapping), "draft_orders": "hold"}

    first = pair.migrate(**params)

    assert first.state == "verified", first.error

    def there(source_id: str) -> dict[str, str]:
        return next(r for r in table(pair.target, ORDER).values() if r[SOURCE_ID] == source_id)

    assert there(settled[0])[TEXT] == text

    second = pair.migrate(**params | {"draft_orders": "load"})

    assert second.state == "verified", second.error
    assert there(settled[0])[TEXT] == f"follows {target}/{there(draft)['Id']}"
    assert second.summary["objects"][ORDER]["to_update"] == 1

    undone = roll_back(pair, second.run)

    assert undone.state == "verified", undone.error
    assert there(settled[0])[TEXT] == text


def test_a_text_that_would_not_fit_is_carried_as_it_is(pair: Migrator, tmp_path: Path) -> None:  # noqa: F811
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(MAPPING)
    orders = sorted(table(pair.source, ORDER))
    link = f"{pair.source.url}/{orders[0]}"
    edit(pair.source, ORDER, orders[0], **{TEXT: link})
    edit(pair.source, ORDER, orders[1], **{TEXT: f"{link} " + "x" * 170})
    run = pair.start(mapping=str(mapping))
    walk = pair.walk(run)
    for name in BEFORE_PLAN[: BEFORE_PLAN.index("transform")]:
        walk.do(name)
    longer = f"https://{'a' * 60}.my.salesforce.com"
    run.update(target_org={**run.record.target_org, "instance_url": longer})

    walk.do("transform")

    kept = run.db.rows(
        sql.SQL("SELECT source_id, kept FROM {} WHERE field = %s AND kind = 'link' ORDER BY 1").format(
            run.table(Table.REFERENCE)
        ),
        [TEXT],
    )
    assert [r for r in kept if r["source_id"] in orders[:2]] == [
        {"source_id": orders[0], "kept": ""},
        {"source_id": orders[1], "kept": "too_long"},
    ]
    told = run.db.value(
        "SELECT message FROM coa.finding WHERE run_id = %s AND code = 'reference_in_text' AND field = %s",
        [run.run_id, TEXT],
    )
    assert "1 links are not rewritten, for their texts would not fit." in told
