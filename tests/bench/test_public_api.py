"""The benchmark is a client of the simulated org like any other: it imports the public part of orgsim only."""

from __future__ import annotations

import ast
from pathlib import Path

BENCH = Path(__file__).parents[2] / "bench"
PUBLIC = {"orgsim.launch", "orgsim.tls", "orgsim.bulk.speed"}


def imported(path: Path) -> set[str]:
    """Modules of orgsim that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "orgsim":
            found |= {f"orgsim.{name.name}" for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return {name for name in found if name.split(".")[0] == "orgsim"}


def test_the_benchmark_uses_the_public_part_of_orgsim_only() -> None:
    used = {name for path in BENCH.rglob("*.py") for name in imported(path)}

    assert used == PUBLIC
