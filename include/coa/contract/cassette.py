"""What one org answered, as one file that a partner can read, and send.

`format` and `version` say how to read it. One entry a fact: the answer, why there is none, and the exchanges that led
to it, made anonymous (`coa.contract.anonymise`). orgsim reads the same file as a profile.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import coa
from coa.contract.anonymise import Anonymiser
from coa.contract.ask import Asked
from coa.contract.fact import Answer, AnswerState
from coa.contract.probe_org import ProbeOrg
from coa.errors import ConfigurationError

FORMAT = "coa-contract-cassette"
VERSION = 1


def make_cassette(org: ProbeOrg, asked: Iterable[Asked], *, role: str, is_sandbox: bool) -> dict[str, Any]:
    """The document: nothing of the org but its answers, its API version and whether it is a sandbox."""
    anonymiser = Anonymiser(org.sent - org.foreign)
    return {
        "format": FORMAT,
        "version": VERSION,
        "product_version": coa.__version__,
        "made": f"{datetime.now(UTC):%Y-%m-%d}",
        "role": role,
        "org": {"is_sandbox": is_sandbox, "api_version": org.org.api_version},
        "facts": [_entry(one, anonymiser) for one in asked],
    }


def _entry(asked: Asked, anonymiser: Anonymiser) -> dict[str, Any]:
    fact, answer = asked.fact, asked.answer
    return {
        "id": fact.id,
        "sentence": fact.sentence,
        "standing": fact.standing.value,
        "state": answer.state.value,
        "expected": fact.expected,
        "answer": answer.answer,
        "holds": fact.holds(answer.answer) if answer.state == AnswerState.ANSWERED else None,
        "why": answer.why,
        "exchanges": [anonymiser.exchange(one) for one in asked.exchanges],
    }


@dataclass(frozen=True)
class Cassette:
    """A file that was read: the answers by fact."""

    document: dict[str, Any]
    answers: dict[str, Answer]

    @property
    def role(self) -> str:
        """`source` or `target`: which of the two orgs answered."""
        return str(self.document.get("role", ""))


def read_cassette(path: Path) -> Cassette:
    """Raises `ConfigurationError` for a file that is none, or of a newer format."""
    try:
        document = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"The cassette {path} cannot be read: {error.strerror}.",
            next_step="name the file cassette.json of an artifacts folder of coa_contract.",
        ) from error
    except ValueError as error:
        raise _no_cassette(path, "it is not JSON") from error
    return cassette_of(document, path)


def cassette_of(document: Any, path: Path | str) -> Cassette:
    """The same for a document that is there already. Raises `ConfigurationError` as `read_cassette` does."""
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise _no_cassette(path, "it does not say that it is one")
    if document.get("version") != VERSION:
        raise _no_cassette(path, f"its version is {document.get('version')!r}, this program reads {VERSION}")
    try:
        answers = {
            str(one["id"]): Answer(
                str(one["id"]), AnswerState(one["state"]), str(one.get("answer", "")), str(one.get("why", ""))
            )
            for one in document["facts"]
        }
    except (KeyError, TypeError, ValueError) as error:
        raise _no_cassette(path, "an entry of its facts cannot be understood") from error
    return Cassette(document, answers)


def _no_cassette(path: Path | str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"{path} is no cassette of this program: {why}.",
        next_step="name the file cassette.json of an artifacts folder of coa_contract.",
    )
