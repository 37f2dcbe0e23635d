"""The load protocol as pure functions: what a process, the org and bad luck can do next in a given state.

It follows `coa.load.jobs`, `coa.load.results`, `coa.load.prepare`, `coa.load.write_gate` and the lease of
`coa.staging.runs`, call by call and transaction by transaction; a step of the model is one HTTP call or one
transaction, for between two of them a process can die or another one act.

The world: `orders` orders with one detail each, loaded in three steps (insert orders, insert details, release orders).
A migration key is unique in the org. The source changes all the time: each plan carries a newer version of every
record. Assumed, and not shown:
PostgreSQL's transactions, and that no process stands still between a look at its lease and the call that follows for
longer than the lease has left (minutes; a call takes seconds).
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

ORDERS, DETAILS, RELEASE = 0, 1, 2
ATTEMPTS = 2
"""As `row_attempts`, which is 6: a row that has no outcome after so many tries is listed as refused."""


BEFORE_LOAD = frozenset({"begin", "others", "task_gate", "gate"})
"""Where a process stands before its run has begun to write."""


class Sabotage(StrEnum):
    """A safety step that is taken out; each must lead to a broken promise."""

    LOOK_UP = "rows without an outcome are sent again without asking the org for them"
    JOB_FIRST = "a job is written down after its creation instead of before"
    ORG_CHECK = "a task does not ask which org its connection leads to"
    RENEWAL = "the lease is not renewed by those who work"
    LEASE_CHECK = "a job is created and closed without a look at the lease"
    OTHERS_JOBS = "a run does not bring the jobs of earlier runs to their end before it looks at the target"
    KEPT_ROWS = "which rows a job carries is worked out anew when its results come"
    ONCE = "results are applied without asking whether they were applied before"
    DETAILS_FIRST = "orders are released without waiting for their details"
    APPROVAL = "the load takes the gate's success for an approval"
    PLAN_HASH = "the load does not compare the plan with the one that was approved"
    OWN_ONLY = "an undo deletes what bears a migration key, whoever brought it"


class Bounds(NamedTuple):
    """How much there is, and how much bad luck."""

    orders: int = 1
    rows_per_job: int = 2
    runs: int = 1
    kills: int = 1
    lost: int = 1
    partial: int = 1
    seconds: int = 0
    """Second processes of a run: the first was taken for dead and lives."""
    stalls: int = 0
    repointed: int = 0
    replanned: int = 0
    undo: bool = False


class Row(NamedTuple):
    """A row of the work list. `-` not planned, then pending, sent, unknown, accepted, rejected by first letter."""

    state: str = "-"
    job: int = -1
    attempts: int = 0
    duplicate: bool = False
    landed: int = 0


class Job(NamedTuple):
    """A row of `coa.job`; `org_job`: its number in the org, -1 while unknown."""

    run: int
    step: int
    rows: tuple[int, ...]
    state: str = "planned"
    org_job: int = -1


class OrgJob(NamedTuple):
    """A job in the org: open, uploaded (open with data), queued, complete, aborted."""

    run: int
    step: int
    known: bool
    rows: tuple[int, ...] = ()
    state: str = "open"
    outcome: tuple[str, ...] = ()


class Process(NamedTuple):
    """A process that works on a run: where it stands, and what it knows and the database does not."""

    run: int
    at: str
    step: int = ORDERS
    job: int = -1
    org_job: int = -1
    org: int = 0


class RunRow(NamedTuple):
    """A row of `coa.run`; `version`: of the source when the plan was made; `snapshot`: of the target's records."""

    plan: int = 0
    approved: int = -1
    loaded: bool = False
    ended: bool = False
    version: int = 0
    snapshot: tuple[int, ...] = ()


class Luck(NamedTuple):
    kills: int
    lost: int
    partial: int
    seconds: int
    stalls: int
    repointed: int
    replanned: int


class State(NamedTuple):
    work: tuple[tuple[Row, ...], ...]
    jobs: tuple[Job, ...]
    org_jobs: tuple[OrgJob, ...]
    versions: tuple[int, ...]
    """Of each record in the org, orders first; 0: not there."""
    released: tuple[bool, ...]
    ledger: tuple[int, ...]
    """Record -> run that inserted it as the ledger knows, -1 none, -2 there and not ours."""
    lease: int
    fresh: bool
    runs: tuple[RunRow, ...]
    processes: tuple[Process, ...]
    connection: int
    luck: Luck
    broken: str = ""


Move = tuple[str, State]


def tidy(s: State) -> State:
    """The same state without what nothing can come of any more: finished jobs that nobody looks at, tries of rows that
    are over. States that differ by history alone are one."""
    looked_at = {p.job for p in s.processes}
    work = tuple(
        tuple(
            row._replace(attempts=min(row.attempts, ATTEMPTS))
            if row.state in ("s", "u", "p")
            else Row(row.state, job=row.job if row.job in looked_at else -1, landed=row.landed)
            for row in rows
        )
        for rows in s.work
    )
    kept = sorted(
        {n for n, job in enumerate(s.jobs) if job.state not in ("settled", "abandoned")}
        | {n for n in looked_at if n >= 0}
        | {row.job for rows in work for row in rows if row.state == "s"}
    )
    jobs = {old: new for new, old in enumerate(kept)}
    in_org = sorted(
        {s.jobs[n].org_job for n in kept if s.jobs[n].org_job >= 0}
        | {p.org_job for p in s.processes if p.org_job >= 0}
        | {n for n, job in enumerate(s.org_jobs) if job.state == "queued"}
    )
    org_jobs = {old: new for new, old in enumerate(in_org)}
    return s._replace(
        work=tuple(tuple(row._replace(job=jobs.get(row.job, -1)) for row in rows) for rows in work),
        jobs=tuple(s.jobs[n]._replace(org_job=org_jobs.get(s.jobs[n].org_job, -1)) for n in kept),
        org_jobs=tuple(s.org_jobs[n] for n in in_org),
        processes=tuple(
            p._replace(job=jobs.get(p.job, p.job), org_job=org_jobs.get(p.org_job, -1)) for p in s.processes
        ),
    )


def unchanged(state: State, after: State) -> bool:
    """Whether a move left jobs and rows, and who looks at them, as they were: then there is nothing to tidy."""
    return (
        after.work is state.work
        and after.jobs is state.jobs
        and after.org_jobs is state.org_jobs
        and [(p.job, p.org_job) for p in after.processes] == [(p.job, p.org_job) for p in state.processes]
    )


def put(items: tuple, at: int, item: object) -> tuple:  # type: ignore[type-arg]
    return (*items[:at], item, *items[at + 1 :])


class Protocol:
    """All that can happen within some bounds, with or without a sabotage."""

    def __init__(self, bounds: Bounds, sabotage: Sabotage | None = None) -> None:
        self.bounds, self.sabotage = bounds, sabotage
        self.n = bounds.orders

    def without(self, step: Sabotage) -> bool:
        return self.sabotage == step

    def first(self) -> State:
        b = self.bounds
        foreign = (2,) if b.undo else ()
        # With undo, a record that was there before us stands at the end: it bears a key of an earlier migration.
        versions = (0,) * (2 * self.n) + foreign
        return State(
            work=((Row(),) * (3 * self.n),) * b.runs,
            jobs=(),
            org_jobs=(),
            versions=versions,
            released=(False,) * self.n,
            ledger=(-1,) * (2 * self.n) + ((-2,) if b.undo else ()),
            lease=-1,
            fresh=True,
            runs=(RunRow(),) * b.runs,
            processes=(Process(0, "begin"),),
            connection=0,
            luck=Luck(b.kills, b.lost, b.partial, b.seconds, b.stalls, b.repointed, b.replanned),
        )

    def tidied(self, before: State, after: State) -> State:
        return after if unchanged(before, after) else tidy(after)

    # ---- all that can happen next ---------------------------------------------------------------
    def moves(self, s: State) -> Iterator[Move]:
        for number, process in enumerate(s.processes):
            for label, after in self.steps(s, number, process):
                yield f"run {process.run}, process {number}: {label}", after
        yield from self.org_moves(s)
        yield from self.bad_luck(s)
        yield from self.starts(s)

    def org_moves(self, s: State) -> Iterator[Move]:
        """The org works off a queued job whenever it likes; each row by itself, or the job breaks in the middle."""
        for number, job in enumerate(s.org_jobs):
            if job.state == "queued":
                yield f"org: works off job {number}", self.process(s, number, len(job.rows), ok=True)
                if s.luck.partial:
                    luck = s.luck._replace(partial=s.luck.partial - 1)
                    bad = self.process(s, number, len(job.rows), ok=False)._replace(luck=luck)
                    yield f"org: works off job {number}, its last row met a lock", bad
                    half = self.process(s, number, len(job.rows) - 1, ok=True)._replace(luck=luck)
                    yield f"org: job {number} fails before its last row", half
                    silent = self.process(s, number, len(job.rows), ok=True, told=len(job.rows) - 1)
                    yield (
                        f"org: job {number} fails, its last row is there and in no result",
                        silent._replace(luck=luck),
                    )

    def bad_luck(self, s: State) -> Iterator[Move]:
        luck = s.luck
        for number, process in enumerate(s.processes):
            if process.at in ("done", "dead", "stopped"):
                continue
            if luck.kills:
                dead = put(s.processes, number, process._replace(at="dead", job=-1, org_job=-1))
                yield (
                    f"process {number} is killed",
                    s._replace(processes=dead, luck=luck._replace(kills=luck.kills - 1)),
                )
            if luck.seconds and len(s.processes) == 1 and process.at not in BEFORE_LOAD:
                yield (
                    f"process {number} is taken for dead, another one is started",
                    s._replace(
                        processes=(*s.processes, Process(process.run, "task", process.step)),
                        luck=luck._replace(seconds=luck.seconds - 1),
                    ),
                )
        if luck.repointed:
            yield (
                "the connection is pointed at another org",
                s._replace(connection=1, luck=luck._replace(repointed=luck.repointed - 1)),
            )
        expires = s.lease >= 0 and s.fresh
        # Whoever works renews it with each call (`_advance`, `_show`, every stage): it runs out for who stands still.
        alive = any(p.run == s.lease and p.at not in ("dead", "done", "stopped") for p in s.processes)
        if expires and self.bounds.runs > 1:
            if not alive or self.without(Sabotage.RENEWAL):
                yield "the lease expires", s._replace(fresh=False)
            elif luck.stalls:
                yield (
                    "the lease expires while its holder stands still",
                    s._replace(fresh=False, luck=luck._replace(stalls=luck.stalls - 1)),
                )
        for number, run in enumerate(s.runs):
            if luck.replanned and run.approved >= 0 and not run.loaded:
                yield (
                    f"run {number}: its plan is made anew after the approval",
                    s._replace(
                        runs=put(s.runs, number, run._replace(plan=run.plan + 1)),
                        luck=luck._replace(replanned=luck.replanned - 1),
                    ),
                )

    def starts(self, s: State) -> Iterator[Move]:
        """A killed task is tried again; the next run begins; a person answers, or has a run undone."""
        waiting = any(job.state == "queued" for job in s.org_jobs)
        if self.bounds.undo and s.runs[0].ended and s.runs[0].loaded and not waiting:
            yield "run 0 is undone", self.undone(s)
        for number, process in enumerate(s.processes):
            if process.at == "dead":
                at = "task" if s.runs[process.run].loaded else "begin"
                again = put(s.processes, number, Process(process.run, at, process.step))
                yield f"process {number} is started again", s._replace(processes=again)
        if self.bounds.runs > 1 and all(p.run == 0 for p in s.processes):
            yield "run 1 is triggered", s._replace(processes=(*s.processes, Process(1, "begin")))
        for number, run in enumerate(s.runs):
            if run.approved < 0 and any(p.run == number and p.at == "gate" for p in s.processes):
                yield (
                    f"run {number}: a person approves its plan",
                    s._replace(runs=put(s.runs, number, run._replace(approved=run.plan))),
                )

    # ---- what a process does --------------------------------------------------------------------
    def steps(self, s: State, me: int, p: Process) -> Iterator[Move]:
        if p.at in ("done", "dead", "stopped"):
            return
        yield from getattr(self, f"at_{p.at}")(s, me, p)

    def go(self, s: State, me: int, p: Process, at: str, **changes: int) -> State:
        return s._replace(processes=put(s.processes, me, p._replace(at=at, **changes)))

    def renewed(self, s: State, p: Process) -> State:
        return s._replace(fresh=True) if s.lease == p.run and not self.without(Sabotage.RENEWAL) else s

    def advanced(self, s: State, me: int, p: Process, job: Job, at: str) -> State:
        """`_advance`: the job's row is written on, and the lease renewed."""
        return self.renewed(self.go(s._replace(jobs=put(s.jobs, p.job, job)), me, p, at), p)

    def at_begin(self, s: State, me: int, p: Process) -> Iterator[Move]:
        """Preflight takes the pair's lease: free, run out, or of a run that has ended."""
        free = s.lease in (-1, p.run) or not s.fresh or s.runs[s.lease].ended
        if free:
            others = "task_gate" if self.without(Sabotage.OTHERS_JOBS) else "others"
            yield "takes the lease", self.go(s._replace(lease=p.run, fresh=True), me, p, others)

    def at_others(self, s: State, me: int, p: Process) -> Iterator[Move]:
        """`settle_jobs_of_other_runs`: open ones are aborted, closed ones waited for."""
        if not self.may_write(s, p):
            yield "has lost its pair: stops", self.thrown_out(s, me, p)
            return
        for number, job in enumerate(s.jobs):
            if job.run == p.run or job.state in ("settled", "abandoned"):
                continue
            settled = s._replace(jobs=put(s.jobs, number, job._replace(state="abandoned")))
            if job.org_job < 0:
                yield f"gives job {number} of run {job.run} up", settled
                return
            org_job = s.org_jobs[job.org_job]
            if org_job.state in ("open", "uploaded"):
                aborted = put(s.org_jobs, job.org_job, org_job._replace(state="aborted"))
                yield f"aborts job {number} of run {job.run}", settled._replace(org_jobs=aborted)
            elif org_job.state != "queued":
                yield f"job {number} of run {job.run} has ended", settled
            return
        yield "no job of another run is left", self.go(s, me, p, "task_gate")

    def at_task_gate(self, s: State, me: int, p: Process) -> Iterator[Move]:
        """The snapshot of the target, which is right where it and the ledger disagree, and the plan."""
        seen = s.versions[: 2 * self.n]
        ledger = (
            tuple(
                (was if was != -1 else -3) if version else -1
                for was, version in zip(s.ledger, seen, strict=False)
            )
            + s.ledger[2 * self.n :]
        )
        # A record with our key that the ledger had lost: ours, of an earlier run (-3).
        version = 1 + max(run.version for run in s.runs)
        work = tuple(self.planned(version, index, seen, s.released) for index in range(3 * self.n))
        run = s.runs[p.run]._replace(snapshot=seen, version=version)
        after = s._replace(ledger=ledger, work=put(s.work, p.run, work), runs=put(s.runs, p.run, run))
        yield "reads the target and makes its plan", self.go(after, me, p, "gate")

    def planned(self, version: int, index: int, seen: tuple[int, ...], released: tuple[bool, ...]) -> Row:
        step, item = divmod(index, self.n)
        if step == RELEASE:
            wanted = seen[item] != version or not released[item]
        else:
            wanted = not seen[item + (self.n if step == DETAILS else 0)]
        return Row("p") if wanted else Row()

    def at_gate(self, s: State, me: int, p: Process) -> Iterator[Move]:
        """`require_go_ahead` and `refuse_changed_target`; then the first write is noted."""
        run = s.runs[p.run]
        if run.approved < 0 and not self.without(Sabotage.APPROVAL):
            return  # The gate waits; marking it as success changes nothing for the load.
        if run.approved != run.plan and not (
            self.without(Sabotage.PLAN_HASH) or self.without(Sabotage.APPROVAL)
        ):
            yield "the plan is not the approved one: stops", self.end(s, me, p)
            return
        if s.lease != p.run:
            yield "has lost its pair: stops", self.end(s, me, p)
            return
        if s.versions[: 2 * self.n] != run.snapshot:
            yield "the target changed under the plan: stops", self.end(s, me, p)
            return
        loaded = s._replace(runs=put(s.runs, p.run, run._replace(loaded=True)))
        yield "begins to load", self.go(loaded, me, p, "task")

    def at_task(self, s: State, me: int, p: Process) -> Iterator[Move]:
        """A task obtains its org and looks at the lease (`require_lease`)."""
        if s.connection and not self.without(Sabotage.ORG_CHECK):
            yield "its connection leads to another org: stops", self.end(s, me, p)
        elif s.lease != p.run:
            yield "has lost its pair: stops", self.end(s, me, p)
        else:
            yield "starts the task", self.renewed(self.go(s, me, p, "settle", org=s.connection), p)

    def at_settle(self, s: State, me: int, p: Process) -> Iterator[Move]:
        for number, job in enumerate(s.jobs):
            if (job.run, job.step) == (p.run, p.step) and job.state not in ("settled", "abandoned"):
                yield f"finds job {number} unfinished", self.go(s, me, p, "bring", job=number)
                return
        # What only reads needs no step of its own: it commutes with what others do.
        if any(s.work[p.run][i].state == "u" for i in self.of_step(p.step)):
            yield from self.at_look_up(s, me, p)
        else:
            yield from self.at_plan(s, me, p)

    def at_look_up(self, s: State, me: int, p: Process) -> Iterator[Move]:
        """`look_up_unknown`: found rows are ours, others are sent again, unless they were refused as duplicates."""
        work, ledger = list(s.work[p.run]), list(s.ledger)
        for index in self.of_step(p.step):
            row = work[index]
            if row.state != "u":
                continue
            item = self.item(p.step, index)
            if self.without(Sabotage.LOOK_UP):
                work[index] = row._replace(state="r" if row.duplicate else "p")
            elif s.versions[item]:
                work[index] = row._replace(state="a")
                ledger[item] = p.run if ledger[item] == -1 else ledger[item]
            else:
                worn_out = row.duplicate or row.attempts >= ATTEMPTS
                work[index] = row._replace(state="r" if worn_out else "p")
        after = s._replace(work=put(s.work, p.run, tuple(work)), ledger=tuple(ledger))
        yield "looks up rows without an outcome", self.go(after, me, p, "plan")

    def at_plan(self, s: State, me: int, p: Process) -> Iterator[Move]:
        """Puts the next rows into a job: its row and theirs in one transaction."""
        rows = s.work[p.run]
        waiting = [i for i in self.of_step(p.step) if rows[i].state == "p"]
        if p.step == DETAILS:
            waiting = [i for i in waiting if s.ledger[i - self.n] != -1]
        if p.step == RELEASE and not self.without(Sabotage.DETAILS_FIRST):
            waiting = [i for i in waiting if self.details_are_there(s, p.run, i - 2 * self.n)]
        if not waiting:
            if any(rows[i].state == "s" for i in self.of_step(p.step)):
                # A newer run has given the job up.
                yield "rows have no outcome: the task fails", self.end(s, me, p)
            else:
                yield self.next_step(s, me, p)
            return
        chosen = tuple(waiting[: self.bounds.rows_per_job])
        if self.without(Sabotage.JOB_FIRST):
            yield "sends the next rows", self.go(s, me, p, "create", job=-2)
            return
        after, number = self.write_job(s, p, chosen)
        yield f"writes job {number} down", self.go(after, me, p, "create", job=number)

    def write_job(self, s: State, p: Process, chosen: tuple[int, ...]) -> tuple[State, int]:
        number = len(s.jobs)
        work = list(s.work[p.run])
        for i in chosen:
            work[i] = work[i]._replace(state="s", job=number, attempts=work[i].attempts + 1, duplicate=False)
        return (
            s._replace(jobs=(*s.jobs, Job(p.run, p.step, chosen)), work=put(s.work, p.run, tuple(work))),
            number,
        )

    def details_are_there(self, s: State, run: int, order: int) -> bool:
        return s.work[run][self.n + order].state in ("a", "-")

    def next_step(self, s: State, me: int, p: Process) -> Move:
        """What could not be sent, for its order is not there, is listed as refused."""
        work = list(s.work[p.run])
        for i in self.of_step(p.step):
            if work[i].state == "p":
                work[i] = work[i]._replace(state="r")
        s = s._replace(work=put(s.work, p.run, tuple(work)))
        order = (
            (ORDERS, RELEASE, DETAILS) if self.without(Sabotage.DETAILS_FIRST) else (ORDERS, DETAILS, RELEASE)
        )
        if p.step != order[-1]:
            return "the step is done", self.go(s, me, p, "settle", step=order[order.index(p.step) + 1])
        return "the load is done", self.end(s, me, p, "done")

    def end(self, s: State, me: int, p: Process, at: str = "stopped") -> State:
        """The run's verdict is written, and it gives its pair free. A second process of a run ends alone."""
        alone = not any(
            q.run == p.run and n != me and q.at not in ("dead", "done", "stopped")
            for n, q in enumerate(s.processes)
        )
        runs, lease = s.runs, s.lease
        if alone:
            runs = put(runs, p.run, runs[p.run]._replace(ended=True))
            lease = -1 if lease == p.run else lease
        return self.go(s._replace(runs=runs, lease=lease), me, p, at, job=-1)

    # ---- one job, call by call ------------------------------------------------------------------
    def may_write(self, s: State, p: Process) -> bool:
        return s.lease == p.run or self.without(Sabotage.LEASE_CHECK)

    def thrown_out(self, s: State, me: int, p: Process) -> State:
        """A process that looked at its lease before and has worked ever since has it still."""
        stopped = self.end(s, me, p)
        if s.luck.stalls < self.bounds.stalls:
            return stopped
        return stopped._replace(broken="a run that never stood still has lost its pair")

    def at_create(self, s: State, me: int, p: Process) -> Iterator[Move]:
        if not self.may_write(s, p):
            yield "has lost its pair: stops", self.thrown_out(s, me, p)
            return
        number = len(s.org_jobs)
        made = s._replace(org_jobs=(*s.org_jobs, OrgJob(p.run, p.step, known=p.job >= 0)))
        if p.job < 0:
            made = made._replace(broken="a job is in the org that nobody has written down")
        yield f"creates job {number} in the org", self.go(made, me, p, "created", org_job=number)
        yield from self.lost(s, made, me, p, "the answer to the job's creation")

    def lost(self, s: State, done: State, me: int, p: Process, what: str) -> Iterator[Move]:
        """An answer that does not come: the call may have had its effect or not."""
        if s.luck.lost:
            luck = s.luck._replace(lost=s.luck.lost - 1)
            for label, after in ((f"{what} is lost", done), (f"{what} is lost, and so was the call", s)):
                yield label, self.go(after._replace(luck=luck), me, p, "bring", org_job=-1)

    def at_created(self, s: State, me: int, p: Process) -> Iterator[Move]:
        job = s.jobs[p.job]._replace(state="open", org_job=p.org_job)
        yield "notes the job's id", self.advanced(s, me, p, job, "upload")

    def at_upload(self, s: State, me: int, p: Process) -> Iterator[Move]:
        """The payload is read by the job's number: what another process has put into another job is not in it."""
        org_job = s.org_jobs[p.org_job]
        if org_job.state != "open":
            yield "the org refuses the data: reads the job back", self.go(s, me, p, "bring")
            return
        rows = s.jobs[p.job].rows
        kept = tuple(i for i in rows if s.work[p.run][i].job == p.job)
        data = put(s.org_jobs, p.org_job, org_job._replace(state="uploaded", rows=kept))
        done = s._replace(org_jobs=data)
        yield "uploads the data", self.go(done, me, p, "uploaded")
        yield from self.lost(s, done, me, p, "the answer to the upload")

    def at_uploaded(self, s: State, me: int, p: Process) -> Iterator[Move]:
        job = s.jobs[p.job]._replace(state="uploaded", org_job=p.org_job)
        yield "notes the upload", self.advanced(s, me, p, job, "close")

    def at_close(self, s: State, me: int, p: Process) -> Iterator[Move]:
        if not self.may_write(s, p):
            yield "has lost its pair: stops", self.thrown_out(s, me, p)
            return
        org_job = s.org_jobs[p.org_job]
        if org_job.state != "uploaded":
            yield "the org refuses to close the job: reads it back", self.go(s, me, p, "bring")
            return
        closed = self.closed(s, p.org_job, p.org)
        yield "closes the job", self.go(closed, me, p, "submitted")
        yield from self.lost(s, closed, me, p, "the answer to the closing")

    def closed(self, s: State, number: int, org: int) -> State:
        """From here on the org may write."""
        org_job = s.org_jobs[number]
        run = s.runs[org_job.run]
        queued = s._replace(org_jobs=put(s.org_jobs, number, org_job._replace(state="queued")))
        if org:
            return queued._replace(broken="a write went to an org that the plan was not approved for")
        if run.approved != run.plan:
            return queued._replace(broken="a write was made whose plan nobody approved")
        return queued

    def at_submitted(self, s: State, me: int, p: Process) -> Iterator[Move]:
        job = s.jobs[p.job]._replace(state="submitted", org_job=p.org_job)
        yield "notes that the job runs", self.advanced(s, me, p, job, "bring")

    def at_bring(self, s: State, me: int, p: Process) -> Iterator[Move]:
        """`_bring_to_end`: from the job's row and from what the org says."""
        job = s.jobs[p.job]
        if job.org_job < 0:
            yield "gives the job up: nobody knows its id", self.abandon(s, me, p, "p")
            return
        org_job = s.org_jobs[job.org_job]
        unknown = "p" if p.step == RELEASE else "u"
        if org_job.state in ("open", "uploaded") and job.state in ("open", "abandoned"):
            aborted = s._replace(org_jobs=put(s.org_jobs, job.org_job, org_job._replace(state="aborted")))
            yield "aborts the job", self.abandon(aborted, me, p, unknown)
        elif org_job.state in ("open", "uploaded"):
            if self.may_write(s, p):
                yield "closes the job again", self.go(self.closed(s, job.org_job, p.org), me, p, "bring")
            else:
                yield "has lost its pair: stops", self.thrown_out(s, me, p)
        elif org_job.state == "aborted":
            yield "the job was aborted", self.abandon(s, me, p, unknown)
        elif org_job.state == "complete":
            yield "applies the results", self.apply(s, me, p, org_job)

    def abandon(self, s: State, me: int, p: Process, state: str) -> State:
        work = tuple(
            row._replace(state=state) if row.job == p.job and row.state == "s" else row
            for row in s.work[p.run]
        )
        job = s.jobs[p.job]._replace(state="abandoned")
        after = s._replace(work=put(s.work, p.run, work), jobs=put(s.jobs, p.job, job))
        return self.go(after, me, p, "settle", job=-1, org_job=-1)

    def apply(self, s: State, me: int, p: Process, org_job: OrgJob) -> State:
        """`apply_results`: outcomes, ledger and the job's end in one transaction."""
        work, ledger = list(s.work[p.run]), list(s.ledger)
        told = dict(zip(org_job.rows, org_job.outcome, strict=False))
        rows: tuple[int, ...] = tuple(i for i, row in enumerate(work) if row.job == p.job)
        if self.without(Sabotage.KEPT_ROWS):
            open_rows = [i for i in self.of_step(p.step) if work[i].state not in ("a", "r", "-")]
            rows = tuple(open_rows[: len(s.jobs[p.job].rows)])
            told = dict(zip(rows, org_job.outcome, strict=False))
        for i in rows:
            row = work[i]
            if row.state != "s" and not (self.without(Sabotage.ONCE) or self.without(Sabotage.KEPT_ROWS)):
                continue
            outcome = told.get(i, "")
            state = {"ok": "a", "duplicate": "u", "lock": "p", "gone": "r"}.get(
                outcome, "p" if p.step == RELEASE else "u"
            )
            work[i] = row._replace(
                state=state, duplicate=outcome == "duplicate", landed=row.landed + (outcome == "ok")
            )
            if outcome == "ok" and p.step != RELEASE:
                ledger[self.item(p.step, i)] = p.run
        job = s.jobs[p.job]._replace(state="settled")
        after = s._replace(
            work=put(s.work, p.run, tuple(work)), ledger=tuple(ledger), jobs=put(s.jobs, p.job, job)
        )
        return self.go(after, me, p, "settle", job=-1, org_job=-1)

    # ---- the org --------------------------------------------------------------------------------
    def process(self, s: State, number: int, rows: int, *, ok: bool, told: int | None = None) -> State:
        """Commits the first `rows` rows of a job; not `ok`: the last of them met a lock. `told`: rows with a result."""
        job = s.org_jobs[number]
        versions, released, outcome = list(s.versions), list(s.released), []
        broken, version = s.broken, s.runs[job.run].version
        for place, index in enumerate(job.rows[:rows]):
            item = self.item(job.step, index)
            if not ok and place == rows - 1:
                outcome.append("lock")
            elif job.step == RELEASE:
                if not versions[item]:
                    outcome.append("gone")
                    continue
                if versions[item] > version:
                    broken = "an older plan has overwritten what a newer one wrote"
                if not versions[self.n + item]:
                    broken = "an order is released and its detail is not there"
                versions[item], released[item] = version, True
                outcome.append("ok")
            elif versions[item]:
                outcome.append("duplicate")
            else:
                versions[item] = version
                outcome.append("ok")
        done = job._replace(state="complete", outcome=tuple(outcome[:told]))
        return s._replace(
            org_jobs=put(s.org_jobs, number, done),
            versions=tuple(versions),
            released=tuple(released),
            broken=broken,
        )

    def of_step(self, step: int) -> range:
        return range(step * self.n, (step + 1) * self.n)

    def item(self, step: int, index: int) -> int:
        """Record of a row: an order for the first and last step, a detail for the second."""
        return index if step != RELEASE else index - 2 * self.n

    def undone(self, s: State) -> State:
        """Deletes what the ledger says that run 0 inserted."""
        ours = [
            bool(version) if self.without(Sabotage.OWN_ONLY) else owner == 0
            for version, owner in zip(s.versions, s.ledger, strict=True)
        ]
        broken = "an undo has deleted what is not ours" if ours[-1] else s.broken
        return s._replace(
            versions=tuple(0 if mine else v for v, mine in zip(s.versions, ours, strict=True)),
            ledger=tuple(-1 if mine else o for o, mine in zip(s.ledger, ours, strict=True)),
            runs=put(s.runs, 0, s.runs[0]._replace(loaded=False, approved=-1)),
            broken=broken,
        )

    # ---- promises -------------------------------------------------------------------------------
    def broken(self, s: State) -> str:
        """The promise that this state breaks, '' for none. Losses show where nothing can go on any more."""
        if s.broken:
            return s.broken
        for rows in s.work:
            if any(row.landed > 1 for row in rows):
                return "the outcome of a row was counted twice"
        for run, row in enumerate(s.runs):
            if not row.loaded:
                continue
            done = any(p.run == run and p.at == "done" for p in s.processes)
            if row.ended and done and (why := self.claims(s, run)):
                return why
        return ""

    def claims(self, s: State, run: int) -> str:
        """What a run that ended well says of its rows must be so in the org; judged at its end, before others write."""
        if any(other.loaded and other.version > s.runs[run].version for other in s.runs):
            return ""
        for index, row in enumerate(s.work[run]):
            item = self.item(index // self.n, index)
            there = bool(s.versions[item])
            if row.state == "a" and not there:
                return "a record counts as moved and is not in the org"
            if row.state == "r" and there and index < 2 * self.n:
                return "a record is in the org and counts as refused"
            if row.state == "a" and index < 2 * self.n and s.ledger[item] == -1:
                return "a record was moved and the ledger does not know it"
            if row.state not in ("a", "r", "-") and index < 2 * self.n:
                return "a run ended well and a row of it has no outcome"
        return ""

    def stuck(self, s: State) -> str:
        """Whether a state that nothing leads out of is a good end."""
        if any(job.state == "queued" for job in s.org_jobs):
            return "a job waits for ever"
        if any(p.at not in ("done", "stopped", "dead") for p in s.processes):
            return "a process waits for ever"
        return ""
