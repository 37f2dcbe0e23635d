"""All routes of an org."""

from __future__ import annotations

from orgsim import control
from orgsim.rest import bulk2, collections, data, oauth, query, sobjects
from orgsim.rest.http import Router


def build_router() -> Router:
    router = Router()
    for module in (oauth, data, query, bulk2, collections, sobjects, control):
        module.register(router)
    return router
