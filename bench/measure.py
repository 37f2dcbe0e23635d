"""What a command costs: wall, processor time and memory of it and of every process that it starts (Linux).

Peak memory of a process is the kernel's own high-water mark (`VmHWM`). The total of several processes is
the largest sum of their proportional shares (`Pss`, where a page that n processes share counts 1/n each)
seen in samples; a peak shorter than the gap between two samples can hide from it.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

SAMPLE_SECONDS = 0.2
SHARES_EVERY = 5
"""Every so many samples the proportional shares are read: the kernel walks all pages for them."""
MIB = 1 << 20


@dataclass
class Process:
    """One process of a tree, as it was seen last."""

    name: str
    peak: int = 0
    looks: int = 0
    seconds: float = 0.0


@dataclass
class Tree:
    """All processes that a root process ever had below it."""

    root: int
    processes: dict[tuple[int, float], Process] = field(default_factory=dict)
    peak_share: int = 0

    def sample(self, shares: bool) -> None:
        total = 0
        for process in _family(self.root):
            try:
                key = (process.pid, process.create_time())
                seen = self.processes.setdefault(key, Process(""))
                if seen.looks < 5:
                    # At its first moment a child still bears the name of its parent.
                    seen.name = label(process.cmdline(), process.name())
                seen.looks += 1
                seen.peak = max(seen.peak, high_water(process.pid))
                times = process.cpu_times()
                seen.seconds = times.user + times.system
                total += share(process.pid) if shares else 0
            except (psutil.Error, OSError):
                continue
        self.peak_share = max(self.peak_share, total)

    @property
    def largest(self) -> Process:
        return max(self.processes.values(), key=lambda one: one.peak, default=Process("none"))

    def by_name(self) -> dict[str, int]:
        """The highest peak of each kind of process, in bytes, largest first."""
        peaks: dict[str, int] = {}
        for one in self.processes.values():
            peaks[one.name] = max(peaks.get(one.name, 0), one.peak)
        return dict(sorted(peaks.items(), key=lambda pair: -pair[1]))


def _family(root: int) -> list[psutil.Process]:
    """A process and all below it, from the kernel's own lists: psutil would look at every process there is."""
    found, left = [], [root]
    while left:
        pid = left.pop()
        try:
            found.append(psutil.Process(pid))
            for thread in Path(f"/proc/{pid}/task").iterdir():
                left += map(int, (thread / "children").read_text().split())
        except (psutil.Error, OSError):
            continue
    return found


def label(command: list[str], name: str) -> str:
    """A name without paths: `python -m x.y` is x.y, a script is its file name."""
    if not command:
        return name
    program = os.path.basename(command[0].split(": ")[0])
    if program.startswith("python"):
        for position, word in enumerate(command[1:], 1):
            if word == "-m" and position + 1 < len(command):
                return command[position + 1]
            if word.endswith(".py"):
                return os.path.basename(word)
        return "python"
    # Airflow writes what it does into its own title.
    return " ".join(program.split()[:3])


def high_water(pid: int) -> int:
    return _kilobytes(f"/proc/{pid}/status", "VmHWM:")


def share(pid: int) -> int:
    return _kilobytes(f"/proc/{pid}/smaps_rollup", "Pss:")


def _kilobytes(path: str, name: str) -> int:
    for line in Path(path).read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    return 0


def tree_seconds(root: int) -> float:
    """Processor time of a server and its children so far, also of those that ended: it waits for its children."""
    total = 0.0
    for process in _family(root):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
        if process.pid == root:
            total += times.children_user + times.children_system
    return total


def machine_seconds() -> float:
    """Processor time that the machine spent so far on anything."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


@dataclass
class Usage:
    """What a command cost; memory in bytes."""

    status: int
    wall: float
    seconds: float
    """Processor time of the command and all that it started."""
    tree: Tree
    beside: dict[str, tuple[float, int, int]]
    """By name of a server: processor seconds spent meanwhile, peak of its largest process, peak of all."""
    machine_seconds: float
    """Processor time of the whole machine meanwhile, whoever used it."""


def run(
    command: list[str],
    *,
    environment: dict[str, str],
    folder: Path,
    log: Path,
    limit: float,
    servers: dict[str, int] | None = None,
) -> Usage:
    """Runs a command to its end and measures it; `servers` are roots of process trees that work for it.

    Raises `TimeoutError` after `limit` seconds; the command is killed then.
    """
    beside = {name: Tree(pid) for name, pid in (servers or {}).items()}
    before = {name: tree_seconds(one.root) for name, one in beside.items()}
    machine = machine_seconds()
    started = time.perf_counter()
    with log.open("wb") as output:
        child = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    tree = Tree(child.pid)
    done = threading.Event()
    sampler = threading.Thread(target=_sample, args=([tree, *beside.values()], done), daemon=True)
    sampler.start()
    try:
        status, used, ended = _wait(child, started + limit)
    finally:
        done.set()
        sampler.join()
    sampled = sum(one.seconds for one in tree.processes.values())
    return Usage(
        status=status,
        wall=ended - started,
        # A process that nobody waited for is in the samples only, a short one only with who waited for it.
        seconds=max(used, sampled),
        tree=tree,
        beside={
            name: (tree_seconds(one.root) - before[name], one.largest.peak, one.peak_share)
            for name, one in beside.items()
        },
        machine_seconds=machine_seconds() - machine,
    )


def _sample(trees: list[Tree], done: threading.Event) -> None:
    count = 0
    while not done.wait(SAMPLE_SECONDS):
        for tree in trees:
            tree.sample(shares=count % SHARES_EVERY == 0)
        count += 1


def _wait(child: subprocess.Popen[bytes], deadline: float) -> tuple[int, float, float]:
    """(exit status, processor seconds of it and its descendants, moment of its end)."""
    while True:
        pid, status, used = os.wait4(child.pid, os.WNOHANG)
        if pid:
            child.returncode = os.waitstatus_to_exitcode(status)
            return child.returncode, used.ru_utime + used.ru_stime, time.perf_counter()
        if time.perf_counter() > deadline:
            family = _family(child.pid)
            for process in reversed(family):
                process.kill()
            child.wait()
            # A process that runs dies when its turn comes, not at once: what follows must not meet it.
            psutil.wait_procs([one for one in family if one.pid != child.pid], timeout=10)
            raise TimeoutError(f"not done after {time.perf_counter() - deadline:.0f} s beyond its limit")
        time.sleep(0.01)
