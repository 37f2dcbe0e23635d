"""The page's own small app: open shells without data, and data behind Airflow's permissions.

Two endpoints change something: one withdraws a standing approval, one keeps the checklist of the cases. Approving is
done by Airflow's own API, from this page as well; clearing and triggering on Airflow's own pages.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import Body, Depends, FastAPI, Header, HTTPException, Query, Request, Response
from fastapi import Path as PathParam
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles

from coa.approval.standing import withdraw
from coa.casework.checklist import Entry, save
from coa.errors import ConfigurationError
from coa_airflow.ui.access import MAY_READ_RUN, DagId, RunId, RunIdInPath, readable_dags, run_or_404
from coa_airflow.ui.cache import CostCache
from coa_airflow.ui.cases import pairs_with_cases
from coa_airflow.ui.downloads import DOCUMENTS, LISTS, artifact_stream, csv_stream
from coa_airflow.ui.overview import airflow_state, all_runs, beside, dags_with_runs, state_of_headless_run
from coa_airflow.ui.problems import problems
from coa_airflow.ui.run_data import run_page
from coa_airflow.ui.staging import StagingUnavailable, reading, writing
from coa_airflow.ui.standing import grants

log = logging.getLogger(__name__)

CaseSaid = Annotated[dict[str, str], Body()]
FileName = Annotated[str, PathParam(pattern=r"^[A-Za-z_]+\.[a-z]+$")]
STATIC = Path(__file__).parent / "static"
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
# The report is a document that others may have written to: no scripts, no origin, no way out. Its links lead to
# the files beside it, most of which a browser saves.
REPORT_POLICY = (
    "sandbox allow-downloads; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "frame-ancestors 'self'"
)


def create_app() -> FastAPI:
    """The pages, their data and their files, to be mounted in Airflow's API server."""
    app = FastAPI(title="COA migration page", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_exception_handler(StagingUnavailable, _unavailable)
    app.middleware("http")(_headers)
    _add_shells(app)
    _add_data(app)
    _add_standing(app)
    _add_cases(app)
    _add_files(app)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app


async def _headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    answer = await call_next(request)
    answer.headers.setdefault("Content-Security-Policy", PAGE_POLICY)
    answer.headers.setdefault("X-Content-Type-Options", "nosniff")
    answer.headers.setdefault("Referrer-Policy", "no-referrer")
    # Data is personal and live; static files are asked for again, and answered with 304.
    static = request.url.path.startswith(f"{request.scope.get('root_path', '')}/static")
    answer.headers.setdefault("Cache-Control", "no-cache" if static else "no-store")
    return answer


async def _unavailable(_request: Request, error: Exception) -> Response:
    return JSONResponse({"detail": str(error)}, status_code=503)


def _add_shells(app: FastAPI) -> None:
    @app.get("/run")
    def run_shell() -> FileResponse:
        return FileResponse(STATIC / "run.html")

    @app.get("/runs")
    def list_shell() -> FileResponse:
        return FileResponse(STATIC / "runs.html")


def _add_data(app: FastAPI) -> None:
    cache = CostCache()

    @app.get("/api/runs")
    def runs(user: GetUserDep) -> dict[str, Any]:
        with reading() as connection:
            there = dags_with_runs(connection)
            dag_ids = readable_dags(there, user)
            if there and not dag_ids:
                raise HTTPException(403, "You may not read the runs of these DAGs.")
            return {"runs": all_runs(connection, dag_ids)}

    @app.get("/api/dags/{dag_id}/run", dependencies=[MAY_READ_RUN])
    def run(dag_id: DagId, run_id: RunId) -> dict[str, Any]:
        state = airflow_state(dag_id, run_id)
        with reading() as connection:
            state = state or state_of_headless_run(connection, dag_id, run_id)
            return run_page(connection, dag_id, run_id, state)

    @app.get("/api/dags/{dag_id}/problems", dependencies=[MAY_READ_RUN])
    def run_problems(dag_id: DagId, run_id: RunId) -> dict[str, Any]:
        row = run_or_404(dag_id, run_id)

        def make() -> dict[str, Any]:
            with reading() as connection:
                return problems(connection, row)

        found: dict[str, Any] = cache.get((row["run_id"], row["state"]), make)
        return found

    @app.get("/api/dags/{dag_id}/beside", dependencies=[MAY_READ_RUN])
    def run_beside(dag_id: DagId, run_id: RunId, user: GetUserDep) -> dict[str, Any]:
        row = run_or_404(dag_id, run_id)
        with reading() as connection:
            return {"runs": beside(connection, row, readable_dags(dags_with_runs(connection), user))}


def _add_standing(app: FastAPI) -> None:
    @app.get("/api/standing")
    def standing(user: GetUserDep) -> dict[str, Any]:
        with reading() as connection:
            return {"grants": grants(connection, readable_dags(dags_with_runs(connection), user), user)}

    @app.post("/api/standing/{standing_id}/withdraw", dependencies=[Depends(_from_our_page)])
    def withdraw_standing(standing_id: int, user: GetUserDep) -> dict[str, Any]:
        with writing() as connection:
            dag_ids = readable_dags(dags_with_runs(connection), user)
            found = {g["id"]: g for g in grants(connection, dag_ids, user)}.get(standing_id)
            if found is None:
                raise HTTPException(404, "There is no such standing approval.")
            if not found["may_withdraw"]:
                over = found["state"] in ("expired", "withdrawn")
                raise HTTPException(409 if over else 403, "It has already ended." if over else NOT_YOURS)
            return {"withdrawn": withdraw(connection, standing_id, str(user.get_name()))}


def _add_cases(app: FastAPI) -> None:
    @app.get("/api/cases")
    def cases(user: GetUserDep) -> dict[str, Any]:
        with reading() as connection:
            return {
                "pairs": pairs_with_cases(connection, readable_dags(dags_with_runs(connection), user), user)
            }

    @app.post("/api/cases/{pair}/{topic}", dependencies=[Depends(_from_our_page)])
    def keep_case(pair: int, topic: str, said: CaseSaid, user: GetUserDep) -> dict[str, Any]:
        with writing() as connection:
            pairs = pairs_with_cases(connection, readable_dags(dags_with_runs(connection), user), user)
            found = {p["pair"]: p for p in pairs}.get(pair)
            if found is None or topic not in {c["topic"] for c in found["cases"]}:
                raise HTTPException(404, "There is no such case.")
            if not found["may_edit"]:
                raise HTTPException(403, "Only those who may approve a plan may change the cases.")
            try:
                save(connection, pair, Entry.read(topic, said), str(user.get_name()))
            except ConfigurationError as error:
                raise HTTPException(422, error.message) from error
            return {"saved": True}


NOT_YOURS = "Only those who may approve a plan may withdraw a standing approval."


def _from_our_page(x_coa_page: Annotated[str, Header()] = "") -> None:
    """A page of another origin cannot send this header without being asked for permission first."""
    if not x_coa_page:
        raise HTTPException(403, "This is done on the page Browse > Migrations.")


def _add_files(app: FastAPI) -> None:
    @app.get("/files/{dag_id}/report.html", dependencies=[MAY_READ_RUN])
    def report(dag_id: DagId, run_id: RunId, download: Annotated[bool, Query()] = False) -> Response:
        if not download:
            # Links of the report name the files beside it: its address has to be that of a folder of the run.
            return RedirectResponse(f"runs/{quote(run_id, safe='')}/report.html")
        return _file(run_or_404(dag_id, run_id), "report.html", download=True)

    @app.get("/files/{dag_id}/{name}", dependencies=[MAY_READ_RUN])
    def file(dag_id: DagId, run_id: RunId, name: FileName) -> Response:
        return _file(run_or_404(dag_id, run_id), name)

    @app.get("/files/{dag_id}/runs/{run_id}/{name}", dependencies=[MAY_READ_RUN])
    def file_of_run(dag_id: DagId, run_id: RunIdInPath, name: FileName) -> Response:
        return _file(run_or_404(dag_id, run_id), name)

    @app.get("/files/{dag_id}/runs/{run_id}/history/{name}", dependencies=[MAY_READ_RUN])
    def history_file_of_run(dag_id: DagId, run_id: RunIdInPath, name: FileName) -> Response:
        return _file(run_or_404(dag_id, run_id), f"history/{name}")


def _file(row: dict[str, Any], name: str, *, download: bool = False) -> Response:
    """A file of a run: a list from staging, anything else from the artifacts folder. Raises HTTPException (404)."""
    stem, _, ending = name.rpartition("/")[2].rpartition(".")
    headers = {}
    if download or ending in ("csv", "md", "parquet", "yaml"):
        headers["Content-Disposition"] = f'attachment; filename="{stem}-{row["run_id"]}.{ending}"'
    if name == f"{stem}.csv" and stem in LISTS:
        return StreamingResponse(csv_stream(stem, row), media_type="text/csv; charset=utf-8", headers=headers)
    content = artifact_stream(row, name) if name in DOCUMENTS else None
    if content is None:
        raise HTTPException(404, f"{name} is not readable from here: see the run's artifacts folder.")
    if name == "report.html":
        headers["Content-Security-Policy"] = REPORT_POLICY
    return StreamingResponse(content, media_type=DOCUMENTS[name], headers=headers)
