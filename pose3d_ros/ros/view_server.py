"""The live view's page: served by viser on 127.0.0.1, to the page itself only.

Every web page that a browser on this machine shows may open a WebSocket to 127.0.0.1, and would learn where people
are. A browser says in `Origin` which page asks, and in `Host` by which name it reaches us; both must be our own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from pose3d_ros.errors import DependencyError

# Names of this machine to itself; with `ssh -L` they are those of the machine at the near end.
OWN_HOSTS = ("127.0.0.1", "localhost", "::1")


def serve(port: int) -> Any:
    """A viser server on this port of 127.0.0.1 or the next that is free, with the origin in its scene.

    Raises DependencyError where viser is missing, or where this viser's server cannot be guarded.
    """
    try:
        import viser
    except ImportError as error:
        raise DependencyError(f"the viewer needs viser ({error}): pip install 'viser>=1.0'") from error
    with _guarded() as guarded:
        server = viser.ViserServer(host="127.0.0.1", port=port, label="pose3d_ros", verbose=False)
    if not guarded:
        server.stop()
        raise DependencyError(
            f"viser {viser.__version__} starts its server in a way not known here, so other web pages could read "
            "it: pip install 'viser==1.1.1'"
        )
    server.scene.set_up_direction("+z")
    server.scene.add_frame("/origin", axes_length=0.3, axes_radius=0.01)
    return server


def refusal(hosts: Sequence[str], origins: Sequence[str]) -> str:
    """Why a request with these headers is not answered; empty for one that is.

    A program that is no browser sends no Origin. It is answered: it runs on this machine, and could send any.
    """
    if len(hosts) != 1 or _parts(f"//{hosts[0]}").hostname not in OWN_HOSTS:
        return "this page is served to 127.0.0.1 and localhost only"
    if not origins or list(origins) == [f"http://{hosts[0]}"]:
        return ""
    return "this page is served to itself only: open it by its own address, http://127.0.0.1:<port>"


def _parts(url: str) -> Any:
    try:
        return urlsplit(url)
    except ValueError:  # as of brackets that do not close
        return urlsplit("")


@contextmanager
def _guarded() -> Iterator[list[str]]:
    """Let servers that viser starts meanwhile ask refusal() first; gives a list that each of them adds to.

    viser has no option for it, but hands every request to websockets' process_request.
    """
    import websockets.asyncio.server as server

    started: list[str] = []
    original = server.serve

    def serve_guarded(*arguments: Any, process_request: Callable[..., Any] | None = None, **options: Any) -> Any:
        def process(connection: Any, request: Any) -> Any:
            headers = request.headers
            if why := refusal(headers.get_all("Host"), headers.get_all("Origin")):
                return connection.respond(HTTPStatus.FORBIDDEN, f"{why}\n")
            return process_request(connection, request) if process_request is not None else None

        started.append("guarded")
        return original(*arguments, process_request=process, **options)

    server.serve = serve_guarded  # type: ignore[misc, assignment]
    try:
        yield started
    finally:
        server.serve = original  # type: ignore[misc]
