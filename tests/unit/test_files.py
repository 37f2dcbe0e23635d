"""A named file is read if it is a regular one, small enough, and where it may lie; anything else is refused at once."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from coa.files import NotReadable, OutsideFolder, read_regular

MOST = 1000


def test_a_regular_file_below_the_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/file").write_bytes(b"x" * MOST)

    assert read_regular(tmp_path / "in/../in/file", MOST, tmp_path / "in") == b"x" * MOST


def test_links_are_followed_to_where_they_lead(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "file").write_bytes(b"ours")
    (tmp_path / "secret").write_bytes(b"theirs")
    (folder / "inside").symlink_to("file")
    (folder / "outside").symlink_to("../secret")
    (folder / "up").symlink_to("..")
    (tmp_path / "folder").symlink_to(folder)

    assert read_regular(folder / "inside", MOST, tmp_path / "folder") == b"ours"
    assert read_regular(folder / "outside", MOST) == b"theirs"
    for name in ("outside", "up/secret", "../secret", "/etc/passwd"):
        with pytest.raises(OutsideFolder):
            read_regular(folder / name, MOST, folder)


def test_whether_a_file_outside_is_there_is_not_told(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()

    for name in ("nothing", "in/../nothing"):
        with pytest.raises(OutsideFolder, match="it is elsewhere"):
            read_regular(tmp_path / name, MOST, folder)


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        for path in (tmp_path / "fifo", Path("/dev/zero"), tmp_path, Path("/"), tmp_path / "s"):
            with pytest.raises(NotReadable):
                read_regular(path, MOST)


def test_no_more_than_the_bound_is_read(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * (MOST + 1))
    os.truncate(tmp_path / "large", 10**12)  # a hole: no disk holds so much

    with pytest.raises(NotReadable, match="larger than 1,000 bytes"):
        read_regular(tmp_path / "large", MOST)


def test_a_file_that_claims_to_be_empty_is_bounded_as_well() -> None:
    with pytest.raises(NotReadable, match="larger than 10 bytes"):
        read_regular(Path("/proc/self/status"), 10)


@pytest.mark.parametrize("name", ["missing", "a\0b", "loop", "x" * 5000])
def test_paths_that_are_none(tmp_path: Path, name: str) -> None:
    (tmp_path / "loop").symlink_to("loop")

    with pytest.raises(NotReadable) as refused:
        read_regular(tmp_path / name, MOST)
    assert str(refused.value)


def test_a_link_that_is_put_there_after_the_path_was_resolved_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at a path and its opening somebody swaps a folder for a link."""
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep/file").write_bytes(b"ours")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").write_bytes(b"theirs")
    opened = os.open

    def swapping(path: str, *args: int, **more: int) -> int:
        if path == "deep" and not (folder / "deep").is_symlink():
            (folder / "deep").rename(folder / "gone")
            (folder / "deep").symlink_to(tmp_path / "other")
        return opened(path, *args, **more)

    monkeypatch.setattr(os, "open", swapping)

    with pytest.raises(NotReadable):
        read_regular(folder / "deep/file", MOST, folder)
