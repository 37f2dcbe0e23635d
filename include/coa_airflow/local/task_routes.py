"""Airflow's execution API inside this process: its routes as they are, without their earlier versions.

Airflow's `InProcessExecutionAPI` builds a router for each version at the first call, which takes seconds; whoever
calls here is of the same version as the routes. Authentication is replaced as it is there: nobody but this process
can call. Heavy to import: see `task_api`, which asks here only for what it does not answer itself.
"""

from __future__ import annotations

from uuid import UUID

import httpx
import svcs
from airflow.api_fastapi.auth.tokens import JWTValidator
from airflow.api_fastapi.common.dagbag import dag_bag_from_app
from airflow.api_fastapi.common.exceptions import init_error_handlers
from airflow.api_fastapi.execution_api.app import InProcessExecutionAPI, lifespan
from airflow.api_fastapi.execution_api.datamodels.token import TIClaims, TIToken
from airflow.api_fastapi.execution_api.routes import execution_api_router
from airflow.api_fastapi.execution_api.routes.connections import has_connection_access
from airflow.api_fastapi.execution_api.routes.variables import has_variable_access
from airflow.api_fastapi.execution_api.routes.xcoms import has_xcom_access
from airflow.api_fastapi.execution_api.security import _jwt_bearer
from airflow.models.dagbag import DBDagBag
from attrs import evolve
from fastapi import FastAPI, Request

NO_TASK = "00000000-0000-0000-0000-000000000000"


def airflow_routes() -> httpx.BaseTransport:
    """All that Airflow's execution API answers. Asks no database before a call."""
    # A registry of its own, as Airflow's has: services of this app are not those of another one.
    services = svcs.Registry()
    # Nobody shows a token here: no key to check one by is asked for.
    services.register_value(JWTValidator, None)
    app = FastAPI(lifespan=evolve(lifespan, registry=services))
    app.include_router(execution_api_router)
    init_error_handlers(app)
    for check in (_jwt_bearer, has_connection_access, has_variable_access, has_xcom_access):
        app.dependency_overrides[check] = _task_of_the_path
    dag_bag = DBDagBag()
    app.dependency_overrides[dag_bag_from_app] = lambda: dag_bag
    transport: httpx.BaseTransport = InProcessExecutionAPI(app=app).transport
    return transport


async def _task_of_the_path(request: Request) -> TIToken:
    task = request.path_params.get("task_instance_id", NO_TASK)
    return TIToken(id=UUID(task), claims=TIClaims(scope="execution"))
