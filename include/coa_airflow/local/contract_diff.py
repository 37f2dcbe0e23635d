"""`make contract-diff CASSETTE=...`: replays a cassette's probes on the local simulator and tells where they differ.

Exit status 0 when they were compared, whatever came out; 2 for a file that is no cassette.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coa.child_environment import Child, child_environment
from coa.config import Settings
from coa.contract.ask import ask_all
from coa.contract.cassette import Cassette, read_cassette
from coa.contract.diff import answered, compare, told
from coa.contract.ledger import MemoryLedger
from coa.contract.marks import new_key
from coa.contract.probe_org import ProbeOrg
from coa.contract.probes import Access
from coa.errors import CoaError, ConfigurationError
from coa.private_files import keep_files_private
from coa.salesforce.session import Org, OrgConnection
from coa_airflow.local.worker import with_our_packages

UNUSABLE = 2
SHAPES = {
    "currency.unknown-code": ["--multi-currency"],
    "field.masked": ["--encrypt-field", "Customer__c.Customer_City__c"],
}
"""What the simulator needs to be asked these at all."""
QUICK = Settings(poll_first_seconds=0.02, poll_max_seconds=0.2)


def main(arguments: list[str]) -> int:
    """`make contract-diff`: shows how a cassette differs from the simulator. Gives the exit status."""
    keep_files_private()
    try:
        if len(arguments) != 1 or not arguments[0]:
            raise ConfigurationError(
                "No cassette is named.",
                next_step="write make contract-diff CASSETTE=artifacts/<run>/cassette.json",
            )
        print(replayed(read_cassette(Path(arguments[0]))))
    except CoaError as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    return 0


def replayed(cassette: Cassette) -> str:
    """The text of the comparison with a simulator that is started for it and ends with it."""
    facts = answered(cassette.answers.values())
    shape = [flag for fact in facts for flag in SHAPES.get(fact.id, [])]
    with simulator(shape) as url:
        org = Org(OrgConnection("simulator", url, consumer_key="coa", consumer_secret="secret"), QUICK)
        probes = ProbeOrg(org, MemoryLedger(new_key()), status_allowed=True)
        replay = {one.fact.id: one.answer for one in ask_all(probes, Access.STATUS, facts)}
    return told(compare(cassette.answers, replay))


@contextmanager
def simulator(flags: list[str]) -> Iterator[str]:
    """The address of a small simulated target. Raises `ConfigurationError` when it does not start."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "orgsim", "--port", "0", "--role", "target", "--orders", "5"),
            *("--sandbox", "--job-delay", "0.01", *flags),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        env=with_our_packages(child_environment(Child.SIMULATOR)),
        text=True,
    )
    try:
        assert process.stdout is not None
        words = process.stdout.readline().split()
        if words[:3] != ["orgsim", "ready", "on"]:
            raise ConfigurationError(
                "The local simulator did not start.",
                next_step="run `.venv/bin/python -m orgsim` and read what it says.",
            )
        yield words[3]
    finally:
        process.terminate()
        process.wait(10)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
