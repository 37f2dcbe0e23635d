"""A software bill of materials (CycloneDX 1.6, JSON) of a lock file with hashes.

    python scripts/sbom.py requirements-deployment.lock dist/sbom.cdx.json

Of the standard library alone, so that it costs a CI run nothing: what a lock says of a package, name, version and the
hashes of its files, is all that the format needs. Licences are added for packages that are installed here.
The same lock gives the same file.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any
from uuid import UUID

LINE = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==(\S+)(?:\s*;\s*([^\\]+?))?\s*\\?$")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def components(lock: str) -> list[dict[str, Any]]:
    """One entry a line `name==version`, with the hashes of the lines below it."""
    found: list[dict[str, Any]] = []
    for line in lock.splitlines():
        if named := LINE.match(line):
            name, version, marker = named.groups()
            found.append(_component(name, version, marker))
        elif hashed := HASH.search(line):
            found[-1]["externalReferences"][0]["hashes"].append({"alg": "SHA-256", "content": hashed[1]})
    return found


def _component(name: str, version: str, marker: str | None) -> dict[str, Any]:
    purl = f"pkg:pypi/{re.sub(r'[-_.]+', '-', name).lower()}@{version}"
    made: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
        # The hashes of all files of this version that may be installed, one of which is.
        "externalReferences": [{"type": "distribution", "url": purl, "hashes": []}],
    }
    if licence := _licence(name, version):
        made["licenses"] = [licence]
    if marker:
        made["properties"] = [{"name": "python:marker", "value": marker.strip()}]
    return made


def _licence(name: str, version: str) -> dict[str, Any] | None:
    try:
        known = metadata(name)
    except PackageNotFoundError:
        return None
    if known["Version"] != version:
        return None
    if expression := known.get("License-Expression"):
        return {"expression": expression}
    text = known.get("License") or ""
    return {"license": {"name": text}} if text and "\n" not in text else None


def bill(lock: Path) -> dict[str, Any]:
    text = lock.read_text("utf-8")
    digest = hashlib.sha256(text.encode()).digest()
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{UUID(bytes=digest[:16], version=4)}",
        "version": 1,
        "metadata": {
            "component": {"type": "container", "bom-ref": "coa-migration", "name": "coa-migration"},
            "properties": [{"name": "lock:sha256", "value": digest.hex()}],
        },
        "components": components(text),
    }


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        print("usage: python scripts/sbom.py LOCK OUTPUT", file=sys.stderr)
        return 2
    lock, output = map(Path, arguments)
    made = bill(lock)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(made, indent=1) + "\n", "utf-8")
    print(f"{output}: {len(made['components'])} packages of {lock.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
