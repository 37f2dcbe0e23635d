"""CSV as Bulk takes and gives it: delimiters, line endings, quoting (contract B5, B6)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

DELIMITERS = {"COMMA": ",", "TAB": "\t", "PIPE": "|", "SEMICOLON": ";", "CARET": "^", "BACKQUOTE": "`"}
LINE_ENDINGS = {"LF": "\n", "CRLF": "\r\n"}
MAX_FIELD = 131_072

csv.field_size_limit(400_000)


class BadCsv(Exception):
    """The whole upload is refused; the text is the job's errorMessage."""


def check_line_ending(text: str, setting: str, *, crlf_in_quotes: bool) -> None:
    """The end of the header line must be the one that the job declared."""
    header_end = _end_of_first_line(text)
    crlf = text[header_end - 1 : header_end] == "\r" if header_end >= 0 else setting == "CRLF"
    if header_end >= 0 and crlf != (setting == "CRLF"):
        raise BadCsv(
            f"ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is {setting}"
        )
    if setting == "LF" and not crlf_in_quotes and "\r\n" in text:
        raise BadCsv(
            f"ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is {setting}"
        )


def _end_of_first_line(text: str) -> int:
    """Position of the first line feed outside quotes, -1 without one."""
    quoted = False
    for position, char in enumerate(text):
        if char == '"':
            quoted = not quoted
        elif char == "\n" and not quoted:
            return position
    return -1


def records(text: str, delimiter: str) -> Iterator[list[str]]:
    """Header and rows; empty lines are skipped."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for record in reader:
            if record:
                yield record
    except csv.Error as problem:
        raise BadCsv(f"InvalidBatch : Failed to parse CSV: {problem}") from None


class Writer:
    """Rows with every value quoted, as bytes."""

    def __init__(self, delimiter: str = ",", line_ending: str = "\n") -> None:
        self._text = io.StringIO(newline="")
        self._writer = csv.writer(
            self._text, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator=line_ending
        )
        self._delimiter = delimiter
        self._line_ending = line_ending

    def raw(self, line: str) -> None:
        self._text.write(line + self._line_ending)

    def rows(self, rows: Iterable[Sequence[object]]) -> None:
        self._writer.writerows(rows)

    def take(self) -> bytes:
        """What was written since the last call."""
        text = self._text.getvalue()
        self._text.seek(0)
        self._text.truncate()
        return text.encode("utf-8", "surrogatepass")


def bare_header(names: Sequence[str], delimiter: str) -> str:
    """Uploaded headers stand unquoted in results, unless they need quotes."""
    return delimiter.join(
        '"' + one.replace('"', '""') + '"' if delimiter in one or '"' in one else one for one in names
    )
