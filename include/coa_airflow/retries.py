"""Which failures of a task are worth another try, for all DAGs alike."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy, RetryAction, RetryRule

from coa.errors import ConfigurationError, OrgUnavailable, PairBusy, RetryableError, RowsRejected, RunStopped

RETRY_POLICY = ExceptionRetryPolicy(
    rules=[
        # The other run's lease ends, or is seen to be over, within minutes.
        RetryRule(PairBusy, retry_delay=timedelta(seconds=30), reason="another run works on these orgs"),
        RetryRule(RetryableError, reason="the same call may succeed later"),
        RetryRule(
            [ConfigurationError, RunStopped, RowsRejected],
            action=RetryAction.FAIL,
            reason="a person has to act first; the message says how",
        ),
        # Our own mistakes do not heal by waiting.
        RetryRule(
            [
                ArithmeticError,
                AssertionError,
                AttributeError,
                ImportError,
                LookupError,
                NameError,
                TypeError,
                ValueError,
            ],
            action=RetryAction.FAIL,
            reason="an error of the program",
        ),
    ]
)

PREFLIGHT_POLICY = ExceptionRetryPolicy(
    rules=[
        # The session has tried for half a minute by then, and nothing is under way yet: a wrong address
        # is far more likely than an outage, and somebody waits for the answer.
        RetryRule(OrgUnavailable, action=RetryAction.FAIL, reason="the org cannot be reached"),
        *RETRY_POLICY.rules,
    ]
)

DEFAULT_ARGS: dict[str, Any] = {
    "owner": "channel-orders",
    # A killed worker, a restarted database, an org under maintenance: each is over within this time.
    "retries": 5,
    "retry_delay": timedelta(seconds=5),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=5),
    "retry_policy": RETRY_POLICY,
}
