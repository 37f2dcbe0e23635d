"""What a command costs: processor time and memory of all its processes, and what a server did for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bench.measure import MIB, label, run

BURN = "import time; end = time.process_time() + {}\nwhile time.process_time() < end: pass"
HOLD = "import time; held = bytearray({} << 20); time.sleep(2)"


def measured(folder: Path, *commands: str, **more: Any):  # type: ignore[no-untyped-def]
    line = "\n".join(f"{sys.executable} -c '{one}' &" for one in commands) + "\nwait"
    return run(
        ["sh", "-c", line], environment=dict(os.environ), folder=folder, log=folder / "log", limit=60, **more
    )


def test_processor_time_is_that_of_all_descendants(tmp_path: Path) -> None:
    used = measured(tmp_path, BURN.format(0.5), BURN.format(0.5))
    assert used.status == 0
    assert 1.0 <= used.seconds < 1.6
    assert used.wall >= 0.5


def test_memory_is_told_for_the_largest_process_and_for_all_together(tmp_path: Path) -> None:
    used = measured(tmp_path, HOLD.format(80), HOLD.format(60))
    assert 80 < used.tree.largest.peak / MIB < 130
    assert 140 < used.tree.peak_share / MIB < 220
    assert set(used.tree.by_name()) >= {"python"}


def test_what_a_server_does_meanwhile_is_counted_beside_the_command(tmp_path: Path) -> None:
    server = subprocess.Popen([sys.executable, "-c", BURN.format(30)])
    try:
        used = measured(tmp_path, HOLD.format(1), servers={"server": server.pid})
    finally:
        server.kill()
        server.wait()
    seconds, peak, _ = used.beside["server"]
    assert seconds > 0.1
    assert peak > MIB
    assert used.seconds < 0.5


def test_a_command_beyond_its_limit_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError):
        run(
            ["sh", "-c", f"{sys.executable} -c 'import time; time.sleep(60)' & echo $! > child; wait"],
            environment=dict(os.environ),
            folder=tmp_path,
            log=tmp_path / "log",
            limit=0.7,
        )
    child = int((tmp_path / "child").read_text())
    state = Path(f"/proc/{child}/stat")
    assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["/some/where/python3.11", "-m", "bench.clients.naive", "http://x"], "bench.clients.naive"),
        (["/some/where/python", "-P", "/a/path/move.py"], "move.py"),
        (["/usr/bin/node", "x.cjs"], "node"),
        (["airflow worker -- LocalExecutor: 1", ""], "airflow worker --"),
        ([], "kernel"),
    ],
)
def test_processes_are_named_without_paths(command: list[str], expected: str) -> None:
    assert label(command, "kernel") == expected
