"""How a record of a probe is told from every other: a run's key in a field that a query can look for."""

from __future__ import annotations

import secrets

from coa.model import CONTRACT, CUSTOMER, CUSTOMER_ORG_ID, DETAIL, NS, ORDER, PRODUCT

PREFIX = "COAPRB"
"""Begins the mark of each record; with key and number it is as long as an org id was in the oldest app, 18 at most."""
MARK_FIELDS = {
    CUSTOMER: CUSTOMER_ORG_ID,
    ORDER: CUSTOMER_ORG_ID,
    DETAIL: NS + "Product_Line_Description__c",
    CONTRACT: "Name",
    PRODUCT: "Name",
}
"""sObjects that probes make records of, and the field that bears the mark."""
CHILDREN_FIRST = (DETAIL, ORDER, CUSTOMER, PRODUCT, CONTRACT)


def new_key() -> str:
    """Eight hex digits: what a run's records have in common."""
    return secrets.token_hex(4)


def mark(key: str, number: int) -> str:
    """The mark of the number-th record of a run.

    >>> mark("0a1b2c3d", 7)
    'COAPRB0a1b2c3d007'
    """
    return f"{beginning(key)}{number:03d}"


def beginning(key: str) -> str:
    """What the marks of a run have in common."""
    return PREFIX + key


def bears_mark(sobject: str, key: str) -> str:
    """SOQL condition: the record was made under this key."""
    return f"{MARK_FIELDS[sobject]} LIKE '{beginning(key)}%'"
