"""Starting programs in groups of their own, and ending them whole: no process of ours stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil


class Group:
    """A program and everything it started.

    `register`: a file that lists the groups of whoever starts them (pid, time, name), for `end_registered`
    after a kill.
    """

    def __init__(
        self,
        name: str,
        command: list[str],
        environment: dict[str, str],
        log: Path,
        register: Path | None = None,
    ) -> None:
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # A Ctrl-C in the terminal reaches us alone: we end the group in an orderly way.
                start_new_session=True,
            )
        if register:
            with register.open("a") as lines:
                lines.write(f"{self.process.pid} {psutil.Process(self.process.pid).create_time()} {name}\n")

    @property
    def running(self) -> bool:
        """Whether the program itself runs."""
        return self.process.poll() is None

    def stop(self, seconds: float = 15.0) -> None:
        """Ends the whole group: asks first, kills after that many seconds."""
        end_group(self.process.pid, seconds)
        self.process.wait()

    def log_tail(self, lines: int = 15) -> str:
        """The last lines of its log; empty where it cannot be read."""
        try:
            return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:])
        except OSError:
            return ""


def end_registered(register: Path) -> None:
    """Ends the groups that a killed starter left behind."""
    try:
        lines = register.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        pid, created = line.split()[:2]
        if same_process(int(pid), float(created)):
            end_group(int(pid), seconds=5)


def end_group(leader: int, seconds: float = 15.0) -> None:
    """SIGTERM to the group of `leader` and to what left the group, SIGKILL to what is there after that."""
    members = group_members(leader)
    _signal(leader, members, signal.SIGTERM)
    _, alive = psutil.wait_procs(members, timeout=seconds)
    if alive:
        _signal(leader, alive, signal.SIGKILL)
        psutil.wait_procs(alive, timeout=5)


def group_members(leader: int) -> list[psutil.Process]:
    """Living processes of the group, and descendants of the leader wherever they are."""
    found: dict[int, psutil.Process] = {}
    # The leader may be gone while its group is not.
    with suppress(psutil.NoSuchProcess):
        top = psutil.Process(leader)
        for process in [top, *top.children(recursive=True)]:
            found[process.pid] = process
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == leader:
                found[process.pid] = process
        except ProcessLookupError:
            continue
    return [p for p in found.values() if _alive(p)]


def _signal(leader: int, members: list[psutil.Process], number: signal.Signals) -> None:
    # The group may be empty by now; what has left it is signalled one by one.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)
    for member in members:
        try:
            if os.getpgid(member.pid) != leader:
                member.send_signal(number)
        except (psutil.NoSuchProcess, ProcessLookupError):
            continue


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def same_process(pid: int, created: float) -> bool:
    """Whether `pid` still is the process that was created at that time: pids are used again."""
    try:
        process = psutil.Process(pid)
        return _alive(process) and abs(process.create_time() - created) < 2
    except psutil.NoSuchProcess:
        return False


def wait_until(condition: Callable[[], bool], seconds: float, every: float = 0.2) -> bool:
    """Polls `condition()` until it holds or the time is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(every)
    return False
