"""What a user can set: the params of a run (`params`), the settings of a deployment (`settings`).

Each is one pydantic model. A field says everything there is to say of it: type, bounds and default, and the texts of
forms, JSON schema and docs.
"""

from coa.config.params import (
    ALL_SOURCES,
    CHOICES,
    MOST_ORDERS_A_CHUNK,
    RunParams,
    refuse_asking,
    verification_params,
)
from coa.config.settings import Settings

__all__ = [
    "ALL_SOURCES",
    "CHOICES",
    "MOST_ORDERS_A_CHUNK",
    "RunParams",
    "Settings",
    "refuse_asking",
    "verification_params",
]
