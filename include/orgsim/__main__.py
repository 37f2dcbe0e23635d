"""``python -m orgsim``: one org on a port of this machine, until stopped."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import sys
import time
from pathlib import Path

import uvicorn

from orgsim import snapshot
from orgsim.org import Org
from orgsim.rest.app import App
from orgsim.seed.build import seed
from orgsim.settings import Settings, from_arguments


def listen(settings: Settings) -> socket.socket:
    """A listening socket; a clear message when the port is taken."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((settings.host, settings.port))
    except OSError as problem:
        sock.close()
        raise SystemExit(
            f"orgsim: cannot listen on {settings.host}:{settings.port}: {problem.strerror}"
        ) from None
    sock.listen(128)
    return sock


def build(settings: Settings) -> Org:
    """A seeded org, or a restored one."""
    if settings.restore:
        kept = Path(settings.restore).read_bytes()
        own = {name: getattr(settings, name) for name in snapshot.OF_THE_PROCESS}
        org = Org(snapshot.settings_of(kept, **own))
        snapshot.put(org, kept)
        return org
    org = Org(settings)
    seed(org)
    if org.facts.ignored:
        print(
            f"orgsim: the profile has what is not simulated: {', '.join(org.facts.ignored)}", file=sys.stderr
        )
    return org


async def serve(org: Org, sock: socket.socket) -> None:
    """Announce the org, then answer until the server is told to stop."""
    config = uvicorn.Config(
        App(org),
        log_level="warning",
        access_log=False,
        timeout_keep_alive=org.settings.keep_alive,
        lifespan="off",
        http="httptools",
        timeout_graceful_shutdown=1,
        server_header=False,
        ssl_certfile=org.settings.tls_certificate or None,
        ssl_keyfile=org.settings.tls_key or None,
    )
    server = uvicorn.Server(config)
    host, port = sock.getsockname()[:2]
    scheme = "https" if org.settings.tls_certificate else "http"
    org.base_url = f"{scheme}://{host}:{port}"
    print(f"orgsim ready on {org.base_url} org {org.id} role {org.settings.role}", flush=True)
    await server.serve(sockets=[sock])
    org.jobs.shutdown()


def _loop() -> asyncio.AbstractEventLoop:
    """uvloop where it is installed: it halves the cost of a request."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def main(arguments: list[str] | None = None) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    settings = from_arguments(arguments)
    sock = listen(settings)
    started = time.perf_counter()
    try:
        org = build(settings)
    except ValueError as error:
        raise SystemExit(f"orgsim: {error}") from None
    records = sum(org.store.count(one) for one in org.schema)
    print(
        f"orgsim: {records} records seeded in {time.perf_counter() - started:.1f} s",
        file=sys.stderr,
        flush=True,
    )
    answer(org, sock)


def answer(org: Org, sock: socket.socket) -> None:
    """Answer on this socket until the process is told to stop."""
    # What was seeded never becomes garbage; collections over it would only cost time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    # Workers and the event loop share one interpreter lock: hand it over quickly.
    sys.setswitchinterval(0.002)
    with asyncio.Runner(loop_factory=_loop) as runner:
        runner.run(serve(org, sock))


if __name__ == "__main__":
    main()
