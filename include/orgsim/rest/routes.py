"""All routes of an org."""

from __future__ import annotations

from orgsim import control
from orgsim.rest import bulk1, bulk2, collections, composite, data, extras, oauth, query, soap, sobjects
from orgsim.rest.http import Router


def build_router() -> Router:
    router = Router()
    for module in (oauth, soap, data, query, extras, bulk2, bulk1, collections, composite, sobjects, control):
        module.register(router)
    return router
