"""Every error this package raises on purpose, grouped by what the caller does next.

`CoaError`
  `RetryableError`   try the same thing again later: nothing was lost
  `ConfigurationError`  a person has to change a setting, a right or an org; no retry helps
  `RunStopped`       the run ends here on purpose, by one of our rules
  `RowsRejected`     the org refused planned rows and the policy says stop

Every error carries `next_step`: the sentence that tells the reader what to do.
No message ever holds a secret or a whole record.
"""

from __future__ import annotations


class CoaError(Exception):
    """Root of all errors of this package."""

    def __init__(self, message: str, *, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.message} Next step: {self.next_step}" if self.next_step else self.message


class RetryableError(CoaError):
    """The same call may succeed later; Airflow retries the task."""


class OrgUnavailable(RetryableError):
    """The org did not answer, or answered 5xx, for longer than the retries last."""


class LimitExceeded(RetryableError):
    """An API limit of the org was reached (REQUEST_LIMIT_EXCEEDED and its kin)."""


class AmbiguousWrite(RetryableError):
    """A write was sent and no answer came: it may or may not have taken effect.

    Whoever catches it reads the state back before it sends anything again.
    """


class JobStalled(RetryableError):
    """A Bulk job made no progress for longer than the configured time."""


class JobStillRunning(RetryableError):
    """A Bulk job needs longer than a worker should be held for it: whoever started the wait takes it up later.

    Nothing went wrong. Raised only where the wait can be taken up again, and only by an `Org` that was
    given `max_wait`. `kind` is `query` or `ingest`.
    """

    def __init__(self, message: str, *, org: str, kind: str, job_id: str) -> None:
        super().__init__(message)
        self.org = org
        self.kind = kind
        self.job_id = job_id


class JobLost(RetryableError):
    """The org no longer knows a Bulk job of ours; the next try makes a new one or reads the records back."""


class IncompleteExtract(RetryableError):
    """An extract delivered fewer rows than the org announced; nothing of it was kept."""


class StagingUnavailable(RetryableError):
    """The staging database could not be asked for a reason that may pass: a restart, a lock, a lost connection."""


class PairBusy(RetryableError):
    """Another run writes to the same target, or works on one of the orgs as a whole."""


class MigrationBlocked(RetryableError):
    """The staging schema has to be brought up to date, and a run that is loading works with it as it is."""


class ConfigurationError(CoaError):
    """A setting, connection, right or org has to be changed by a person."""


class SchemaTooNew(ConfigurationError):
    """The staging schema was brought up to date by a newer program than this one."""


class SchemaOutdated(ConfigurationError):
    """The staging schema is older than this program needs, and whoever asks only reads."""


class AllowanceUsedUp(ConfigurationError):
    """The org's API calls of 24 hours are used up: no retry within a task's time helps."""


class AuthenticationFailed(ConfigurationError):
    """The org refused the credentials of a connection."""


class WrongOrg(ConfigurationError):
    """A connection leads to another org than the one that the run was made for: nothing is asked of it."""


class OrgRefused(ConfigurationError):
    """The org answered 4xx to a request: retrying the same request cannot help.

    `status` is the HTTP status, `code` Salesforce's errorCode and `said` the org's own words (empty when there
    were none).
    """

    def __init__(
        self, message: str, *, status: int = 0, code: str = "", said: str = "", next_step: str = ""
    ) -> None:
        super().__init__(message, next_step=next_step)
        self.status = status
        self.code = code
        self.said = said


class InvalidParams(ConfigurationError):
    """The params or the mapping file do not say something we can do; lists every fault at once."""


class RunStopped(CoaError):
    """The run ends by a rule: `state` is the state of the run in DESIGN §2."""

    def __init__(self, message: str, *, state: str, next_step: str = "") -> None:
        super().__init__(message, next_step=next_step)
        self.state = state


class RowsRejected(CoaError):
    """The org refused rows and `on_row_failure` is `stop`."""


BY_RULE = (RunStopped, RowsRejected)
"""Ends that a rule of ours asked for: whatever else ends a task, the run could not go on."""
