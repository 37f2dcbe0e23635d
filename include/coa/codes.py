"""The codes that the staging database holds: each kind a closed set, with a CHECK in PostgreSQL made from it.

Tables of a run take their CHECKs from here (`coa.staging.tables`); those of the permanent tables stand in migrations,
and `tests/unit/test_codes.py` compares. To add a code: its member, and for a permanent table the migration that lets
the column take it. States of a run are in `coa.states`, causes of explained differences in `coa.explanations`.

Codes that are asked for together are a set with a name, next to their class. SQL gets a set by
`coa.staging.fragments.list_of`; a list that is written out is refused by `tests/unit/test_fragments.py`.
"""

from __future__ import annotations

from enum import StrEnum


class RunMode(StrEnum):
    """`coa.run.mode`: a migration of everything or of what changed, or the kind of DAG that moves nothing."""

    FULL = "full"
    DELTA = "delta"
    VERIFY = "verify"
    ROLLBACK = "rollback"
    RELINK = "relink"
    CONTRACT = "contract"
    SETUP_TARGET = "setup_target"
    WHAT_IF = "what_if"


MIGRATING = frozenset({RunMode.FULL, RunMode.DELTA})


class EventLevel(StrEnum):
    """`coa.event.level`; names of Python's logging levels."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Severity(StrEnum):
    """`coa.finding.severity`: a blocker stops the run, a warning wants a look, a note is for the record."""

    BLOCKER = "blocker"
    WARNING = "warning"
    NOTE = "note"


class Verdict(StrEnum):
    """What a problem of a record does: blocks the record, or stops the run."""

    BLOCK = "block"
    STOP = "stop"


class Action(StrEnum):
    """What the plan does with a source record; each has exactly one."""

    INSERT = "insert"
    UPDATE = "update"
    UNCHANGED = "unchanged"
    MATCH = "match"
    BLOCKED = "blocked"
    HELD = "held"


WRITTEN = frozenset({Action.INSERT, Action.UPDATE})
"""The load writes to the target."""
MOVED = WRITTEN | {Action.UNCHANGED}
"""The record is ours in the target when the load is done."""
MOVED_BEFORE = MOVED - {Action.INSERT}
"""An earlier run moved it."""
LEFT_OUT = frozenset({Action.BLOCKED, Action.HELD})
"""It stays in the source, for a reason that the plan names."""


class Undo(StrEnum):
    """What a roll-back does with a record of the target."""

    DELETE = "delete"
    RESTORE = "restore"
    LEFT = "left"


class Relink(StrEnum):
    """What a run of `coa_relink` does with a lookup of the target."""

    SET = "set"
    UNCHANGED = "unchanged"
    LEFT = "left"


class Removal(StrEnum):
    """What becomes of a record that we brought to the target and that is gone from the source."""

    DELETE = "delete"
    LEFT = "left"


class Carriage(StrEnum):
    """What becomes of something that hangs on a record: it is carried, is there since an earlier run, or is left."""

    CARRY = "carry"
    THERE = "there"
    LEFT = "left"


class LeftBehind(StrEnum):
    """Why something that hangs on a record is not carried."""

    RECORD_NOT_MOVED = "record_not_moved"
    RECORD_MATCHED = "record_matched"
    TOO_LARGE = "too_large"
    FILE_HIDDEN = "file_hidden"
    NO_BYTES = "no_bytes"
    WITH_EMAIL = "with_email"


class Passage(StrEnum):
    """`coa.attached.state`: sent, without an answer as yet -> created -> proved, or refused; deleted by a roll-back."""

    SENT = "sent"
    CREATED = "created"
    PROVED = "proved"
    REFUSED = "refused"
    DELETED = "deleted"


ARRIVED = frozenset({Passage.CREATED, Passage.PROVED})
"""It is in the target."""


class ReasonCode(StrEnum):
    """Why a record is blocked, held or left, or what its plan wants to be known."""

    # What the plan finds, in the order in which one of several is named for a record.
    CONFLICT = "conflict"
    KEY_OF_OTHER_SOURCE = "key_of_other_source"
    POSSIBLE_DUPLICATE = "possible_duplicate"
    VALUE_MASKED = "value_masked"
    CONTRACT_UNMATCHED = "contract_unmatched"
    PRODUCT_UNMATCHED = "product_unmatched"
    CONTRACT_MISMATCH = "contract_mismatch"
    CONTRACT_BLANK = "contract_blank"
    QUANTITY_MISSING = "quantity_missing"
    TERMS_MISSING = "terms_missing"
    CURRENCY_MISSING = "currency_missing"
    PICKLIST_VALUE_MISSING = "picklist_value_missing"
    VALUE_TOO_LONG = "value_too_long"
    VALUE_INVALID = "value_invalid"
    OWNER_UNMATCHED = "owner_unmatched"
    LOOKUP_UNMATCHED = "lookup_unmatched"
    REFUSED_BY_ORG = "refused_by_org"
    ORDER_INCOMPLETE = "order_incomplete"
    PARENT_BLOCKED = "parent_blocked"
    # Not of a problem, but of the plan as a whole.
    FIELD_HIDDEN = "field_hidden"
    MATCH_CHANGED = "match_changed"
    INCOMPLETE = "incomplete"
    HELD_DRAFT = "held_draft"
    HELD_IN_FLIGHT = "held_in_flight"
    CHANGED_SINCE_PLAN = "changed_since_plan"
    # What a roll-back leaves.
    IN_USE = "in_use"
    DELETED_BY_RUN = "deleted_by_run"
    PRE_IMAGE_ERASED = "pre_image_erased"


class RowState(StrEnum):
    """A row of `work`: pending -> sent (in a job) -> accepted | rejected.

    `unknown` (sent, without an outcome) is looked up by its key before it is sent again; `retry` met an error that may
    pass, and is made pending in the next round.
    """

    PENDING = "pending"
    SENT = "sent"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    RETRY = "retry"


ROW_DECIDED = frozenset({RowState.ACCEPTED, RowState.REJECTED})
"""The outcome is known and final."""
ROW_UNDECIDED = frozenset({RowState.SENT, RowState.UNKNOWN})
"""It went to the org, and the outcome is not known."""


class JobState(StrEnum):
    """A row of `coa.job`: planned -> open -> uploaded -> submitted -> settled (results applied) | abandoned."""

    PLANNED = "planned"
    OPEN = "open"
    UPLOADED = "uploaded"
    SUBMITTED = "submitted"
    ENDED = "ended"
    SETTLED = "settled"
    ABANDONED = "abandoned"


JOB_OVER = frozenset({JobState.SETTLED, JobState.ABANDONED})
"""Nothing more comes of the job."""


class LedgerOrigin(StrEnum):
    """Whose the target's record is: inserted by us, matched (not ours), or not there yet."""

    NONE = "none"
    INSERTED = "inserted"
    MATCHED = "matched"


NOT_INSERTED = frozenset({LedgerOrigin.NONE, LedgerOrigin.MATCHED})


class LedgerStep(StrEnum):
    """How far a record has come in the target; `released`: an order that has left Draft."""

    NONE = "none"
    SENT = "sent"
    CREATED = "created"
    RELEASED = "released"
    DONE = "done"


LOAD_UNFINISHED = frozenset({LedgerStep.SENT, LedgerStep.CREATED, LedgerStep.RELEASED})
"""A load began with the record and has not finished it."""


class DifferenceKind(StrEnum):
    """`coa.difference.kind`, as differences.csv names it."""

    FIELD = "field"
    PRICE = "price"
    STATUS = "status"
    RECEIVED_DATE = "received_date"
    CREATED_DATE = "created_date"
    LINK = "link"
    CLONE_LINK = "clone_link"
    OWNER = "owner"
    ROLLUP = "rollup"
    MISSING = "missing"
    DUPLICATE = "duplicate"
    UNEXPECTED = "unexpected"
    HAZARD = "hazard"
    DISAGREEMENT = "disagreement"
    EXPLAINED = "explained"


SURPLUS = frozenset({DifferenceKind.DUPLICATE, DifferenceKind.UNEXPECTED})
"""The target has a record that it should not have."""
OF_A_RECORD = SURPLUS | {DifferenceKind.MISSING}
"""About a record as a whole, not about one of its values."""


class DifferenceCause(StrEnum):
    """Where a difference comes from: the migration, or a change since; `unknown` where that cannot be told."""

    MIGRATION = "migration"
    SOURCE = "source"
    TARGET = "target"
    BOTH = "both"
    UNKNOWN = "unknown"


class CaseTopic(StrEnum):
    """`coa.case_work.topic`: what Salesforce wants a case for; `coa.casework.topics` says what each is about."""

    CONSOLIDATION = "consolidation"
    LMA = "lma"
    AGENTEXCHANGE = "agentexchange"
    CHECKOUT = "checkout"
    PARTNER_COMMUNITY = "partner_community"
    ENVIRONMENT_HUB = "environment_hub"
    TRIALFORCE = "trialforce"
    COA_CONNECTION = "coa_connection"


class CaseState(StrEnum):
    """`coa.case_work.state`: how far a case is."""

    OPEN = "open"
    LOGGED = "logged"
    DONE = "done"
    NOT_NEEDED = "not_needed"


class Scenario(StrEnum):
    """`coa.case_work.scenario`: which consolidation it is (article 000389952); empty until somebody says so."""

    INTO_OWN = "into_own"
    INTO_OTHER = "into_other"
    TAKEN_OVER = "taken_over"


def one_of(column: str, codes: type[StrEnum], *, or_empty: bool = False) -> str:
    """The CHECK of a column, as SQL.

    >>> one_of("verdict", Verdict)
    "CHECK (verdict IN ('block', 'stop'))"
    """
    values = ([""] if or_empty else []) + [code.value for code in codes]
    return f"CHECK ({column} IN ({', '.join(repr(value) for value in values)}))"
