"""Mutation test of the proof: damage planted in the target after a good migration is found and rightly classed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from tests.engine.harness import Migration, Migrator
from tests.verify.damages import RECORDS, VALUES, Damage
from tests.verify.scene import Found, Scene

from coa.model import DETAIL_ORDER


@dataclass
class Proof:
    """What verification said before and after the damage."""

    clean: Migration
    scene: Scene
    found: set[Found]


def _unexplained(migrator: Migrator, run_id: str) -> set[Found]:
    return {
        (r["sobject"], r["target_id"], r["field"], r["kind"])
        for r in migrator.db.rows(
            "SELECT * FROM coa.difference WHERE run_id = %s AND kind <> 'explained'", [run_id]
        )
    }


def _put_texts(migrator: Migrator) -> None:
    """Gives records of the source the texts that are damaged later."""
    planted = migrator.source.control("GET", "planted")
    left_out = {*planted["blocked_orders"], *planted["blocked_details"]}
    used: set[str] = set(left_out)
    for sobject in {d.sobject for d in VALUES if d.text}:
        rows = iter(migrator.source.control("GET", f"table/{sobject}"))
        for damage in (d for d in VALUES if d.text and d.sobject == sobject):
            record = next(r for r in rows if not {r["Id"], r.get(DETAIL_ORDER)} & used)
            used |= {record["Id"], record.get(DETAIL_ORDER) or record["Id"]}
            migrator.source.control(
                "PATCH", f"records/{sobject}/{record['Id']}", {damage.field: damage.text}, raw="true"
            )


@pytest.fixture(scope="module")
def proof(world: Migrator) -> Proof:
    _put_texts(world)
    clean = world.migrate()
    assert clean.state == "verified", clean.error
    assert _unexplained(world, clean.run.run_id) == set()
    scene = Scene.of(world.target)
    # The pickiest first: records that have what they need are rare.
    for damage in sorted(VALUES, key=lambda d: not d.text):
        scene.expected[damage.name] = damage.plant(scene)
    for plant in RECORDS:
        scene.expected[plant.__name__] = plant(scene)
    world.verify(clean.run)
    return Proof(clean, scene, _unexplained(world, clean.run.run_id))


def test_there_are_at_least_fifty_kinds_of_damage() -> None:
    assert len(VALUES) + len(RECORDS) >= 50


def test_an_undamaged_target_shows_no_difference(proof: Proof) -> None:
    for counts in proof.clean.summary["objects"].values():
        assert (counts["different"], counts["missing"], counts["duplicated"]) == (0, 0, 0)


@pytest.mark.parametrize("damage", VALUES, ids=lambda d: d.name)
def test_a_changed_value_is_found_and_rightly_classed(proof: Proof, damage: Damage) -> None:
    assert proof.scene.expected[damage.name] <= proof.found


@pytest.mark.parametrize("plant", RECORDS, ids=lambda f: f.__name__)
def test_a_damaged_record_or_link_is_found_and_rightly_classed(
    proof: Proof, plant: Callable[[Scene], set[Found]]
) -> None:
    assert proof.scene.expected[plant.__name__] <= proof.found


def test_nothing_else_is_called_a_difference(proof: Proof) -> None:
    expected = set().union(*proof.scene.expected.values())
    assert proof.found - expected - proof.scene.consequences == set()
