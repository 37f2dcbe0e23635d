"""The machine in words: what the figures depend on, nothing that tells whose machine it is."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from coa.staging.postgres_programs import binaries


def describe() -> dict[str, Any]:
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "node": _version("node"),
        "curl": _version("curl"),
        "postgresql": _said([str(binaries() / "postgres"), "--version"]),
        "airflow": version("apache-airflow"),
        "simple-salesforce": version("simple-salesforce"),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(program: str) -> str:
    return _said([program, "--version"]) if shutil.which(program) else "not installed"


def _said(command: list[str]) -> str:
    words = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    return next((word.lstrip("v") for word in words if word.lstrip("v")[:1].isdigit()), "unknown")
