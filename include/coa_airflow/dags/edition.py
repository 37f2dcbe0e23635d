"""What one set of the DAGs has in common: the pair of orgs, the owner, the ids."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from airflow.sdk import DAG, Param

from coa.errors import ConfigurationError
from coa_airflow.notify.watch import deadlines
from coa_airflow.pair import Pair
from coa_airflow.retries import DEFAULT_ARGS

PREFIX = "coa"


@dataclass(frozen=True)
class Edition:
    """`prefix` makes the ids (`coa_migrate`); `team` is the owner of the tasks and a tag of the DAGs."""

    pair: Pair = field(default_factory=Pair)
    team: str = ""
    prefix: str = PREFIX

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][\w.\-]*", self.prefix):
            raise ConfigurationError(
                f"The prefix of the DAGs is {self.prefix!r}.",
                next_step="begin it with a letter or digit, and use letters, digits, _, - and . only.",
            )

    def dag_id(self, kind: str) -> str:
        """Id of the DAG of this kind (`coa.kinds`)."""
        return f"{self.prefix}_{kind}"

    def dag(
        self, kind: str, description: str, *, params: dict[str, Param], writes: bool, doc: str, **more: Any
    ) -> DAG:
        """An empty DAG of a kind; `doc` may name `{source}`, `{target}` and other DAGs as `{prefix}_sync`."""
        tags = ["channel-order-app", "migration", "writes" if writes else "read-only"]
        return DAG(
            self.dag_id(kind),
            description=description,
            catchup=False,
            params=params,
            default_args={**DEFAULT_ARGS, **({"owner": self.team} if self.team else {})},
            doc_md=doc.format(source=self.pair.source, target=self.pair.target, prefix=self.prefix),
            tags=[*tags, *([f"team:{self.team}"] if self.team else [])],
            **{"schedule": None, **({"deadline": deadlines()} if writes else {}), **more},
        )
