"""How long a real org takes for a Bulk job: it waits in a queue, then its rows are worked off at a rate of their own.

Without settings a job is as fast as this machine. `SLOW` are the defaults of the benchmark's slow org.
"""

from __future__ import annotations

from typing import Any

QUERY = "query"
ALL = "*"

SLOW: dict[str, Any] = {
    "queue_seconds": 5.0,
    "bulk_workers": 5,
    "rows_per_second": [
        "CHANNEL_ORDERS__Customer__c=200",
        "CHANNEL_ORDERS__Service_Order__c=100",
        "CHANNEL_ORDERS__Service_Order_Detail__c=100",
        "query=5000",
        "*=200",
    ],
}
"""An org of middling speed. No figure is promised by Salesforce; what its guides imply:

- A batch of 10,000 records that is not worked off within five minutes fails and is tried again ("Understanding Bulk
  API 2.0 Ingest"): 33 rows a second are the least of any org that loads at all. To have room, the guide of Bulk API
  advises batches of 5,000 rows to begin with, larger ones where a batch takes "a few seconds" ("Work with Batches"):
  rates from some 50 to a few hundred a second. Orders and details have workflow rules, validation and roll-ups.
- Jobs are queued, for how long is not said; on a quiet org it is seconds.
- "Up to 5 batches of an org side by side" is what the guide of Bulk API names for batches in parallel.
"""


def rate_of(rates: list[str], name: str) -> float:
    """Rows a second of an sObject, or of `query`; 0 where nothing is said of it: then it costs no time of its own.

    >>> rate_of(["A__c=100", "*=50"], "A__c"), rate_of(["A__c=100", "*=50"], "B__c"), rate_of(["A__c=100"], "B__c")
    (100.0, 50.0, 0.0)
    """
    known = dict(one.rsplit("=", 1) for one in rates)
    fallback = "0" if name == QUERY else known.get(ALL, "0")
    return float(known.get(name, fallback))
