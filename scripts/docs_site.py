"""Hooks of mkdocs: pages that stand elsewhere in the repository, and links to what is no page of the site.

The Markdown files are read in the repository as well, so their links are those of the repository.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
ELSEWHERE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security-policy.md",
    "include/salesforce_metadata/README.md": "salesforce-metadata.md",
}
"""File of the repository -> page of the site; files in docs/ are pages of their own name."""
LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages that stand outside of docs/."""
    for path, page in ELSEWHERE.items():
        text = (ROOT / path).read_text("utf-8")
        files.append(File.generated(config, page, content=with_links_of_the_site(text, path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links out of docs/ lead to the page, or become plain text where there is none."""
    path = page.file.src_uri
    return markdown if path in ELSEWHERE.values() else with_links_of_the_site(markdown, f"docs/{path}")


def with_links_of_the_site(markdown: str, path: str) -> str:
    """`path`: where the text stands in the repository."""
    here = ELSEWHERE.get(path, path.removeprefix("docs/"))

    def replaced(found: re.Match[str]) -> str:
        text, link = found.groups()
        if "://" in link or link.startswith(("#", "mailto:")):
            return found[0]
        target, _, anchor = link.partition("#")
        there = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        if not (ROOT / there).exists():
            return found[0]  # mkdocs reports it
        page = ELSEWHERE.get(there) or (there.removeprefix("docs/") if there.startswith("docs/") else "")
        if not page:
            return f"{text} (`{there}`)" if there not in text else text
        to = posixpath.relpath(page, posixpath.dirname(here) or ".")
        return f"[{text}]({to}{'#' + anchor if anchor else ''})"

    return LINK.sub(replaced, markdown)
