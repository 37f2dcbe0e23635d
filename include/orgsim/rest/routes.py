"""All routes of an org."""

from __future__ import annotations

from orgsim import control
from orgsim.content import rest as content
from orgsim.rest import (
    bulk1,
    bulk2,
    collections,
    composite,
    data,
    extras,
    metadata,
    oauth,
    query,
    soap,
    sobjects,
)
from orgsim.rest.http import Router


def build_router() -> Router:
    router = Router()
    modules = (
        oauth,
        soap,
        data,
        query,
        extras,
        metadata,
        bulk2,
        bulk1,
        collections,
        composite,
        content,
        sobjects,
        control,
    )
    for module in modules:
        module.register(router)
    return router
