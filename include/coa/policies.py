"""What the policies of a run mean: each param is translated to behaviour here, once; all other code asks for
the behaviour.

A policy that acts in only one place, as nothing but a choice there, is read there from the params.
"""

from __future__ import annotations

from dataclasses import dataclass

from coa.codes import Severity, Verdict
from coa.config import RunParams
from coa.hanging import KINDS, Hanging


@dataclass(frozen=True)
class Policies:
    """The behaviour that params choose."""

    params: RunParams

    # ---- dates --------------------------------------------------------------------------------
    @property
    def restores_received_dates(self) -> bool:
        """Whether received dates are written again after the package's stamp; otherwise the stamp stays
        and is no difference.
        """
        return self.params.received_dates == "restore"

    @property
    def carries_created_dates(self) -> bool:
        """Audit fields are written where the user may."""
        return self.params.created_dates != "off"

    @property
    def created_dates_refused(self) -> Severity | None:
        """How grave it is that the user may not write audit fields; None where nobody wants them written."""
        return {"required": Severity.BLOCKER, "auto": Severity.WARNING}.get(self.params.created_dates)

    # ---- values that do not fit ---------------------------------------------------------------
    @property
    def blanks_missing_picklist_values(self) -> bool:
        """A value that a restricted picklist lacks is left out, where the field may be blank."""
        return self.params.picklist_policy == "blank"

    @property
    def blanks_invalid_values(self) -> bool:
        """A value that the target's type refuses is left out, where the field may be blank."""
        return self.params.invalid_values == "blank"

    @property
    def truncates(self) -> bool:
        """A text that is too long is cut, ids and keys excepted."""
        return self.params.too_long_policy == "truncate"

    def verdict(self, policy: str) -> Verdict:
        """What a record against which this policy stands leads to; `policy` is the name of its param.

        A milder choice, such as `blank`, blocks the record where the field is not one for it.

        >>> Policies(RunParams()).verdict("picklist_policy")
        <Verdict.STOP: 'stop'>
        """
        return Verdict.STOP if getattr(self.params, policy) == "stop" else Verdict.BLOCK

    # ---- the course of the load ---------------------------------------------------------------
    @property
    def asks_after_canary(self) -> bool:
        """Somebody is asked before anything is written after the canary."""
        return self.params.canary_gate == "ask"

    @property
    def ends_with_canary(self) -> bool:
        """Nothing is written after the canary."""
        return self.params.canary_gate == "only"

    @property
    def needs_canary(self) -> bool:
        """A plan that is too small for a canary is refused."""
        return self.asks_after_canary or self.ends_with_canary

    @property
    def learns_from_canary(self) -> bool:
        """Whether records are corrected by what the canary showed, without being read back first."""
        return self.params.learned_passes == "use"

    @property
    def stops_at_refused_rows(self) -> bool:
        """The load ends with the first step that had refused rows."""
        return self.params.on_row_failure == "stop"

    @property
    def carries_deletions(self) -> bool:
        """What is gone from the source is deleted in the target; else it is reported."""
        return self.params.deletions == "carry"

    # ---- what hangs on records ----------------------------------------------------------------
    @property
    def carries_attachments(self) -> bool:
        """Files, attachments and notes are moved; else they are counted."""
        return self.params.attachments == "carry"

    @property
    def carries_activities(self) -> bool:
        """Tasks, events and e-mails are moved; else they are counted."""
        return self.params.activities == "carry"

    @property
    def hanging(self) -> tuple[Hanging, ...]:
        """The kinds that are moved, in their order."""
        asked = {"attachments": self.carries_attachments, "activities": self.carries_activities}
        return tuple(kind for kind in KINDS if asked[kind.param])

    @property
    def archives_history(self) -> bool:
        """Field history goes to the artifacts."""
        return self.params.history == "archive"
