"""Routes: the template that Starlette or FastAPI matched a request by, `/items/{id}`, read off the scope at the end."""

from __future__ import annotations

import re

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from xray_lambda.web.asgi import Scope

_MOUNTED = "/{path}"  # what Starlette calls the rest of the path below a mount
_MAX_ROUTES = 5000
_MAX_ROUTERS = 16


def template_of(scope: Scope, root_path: str) -> str | None:
    """Return the template of a request's route, None where none matched; `root_path` is the scope's at arrival.

    What a mount took off the path stands in the scope's `root_path` by now, with the values of its parameters.
    """
    route = scope.get("route") or _of_endpoint(scope)
    if route is None:
        return None
    route = _included(scope, route)
    own: object = getattr(route, "path_format", None)
    if not isinstance(own, str):
        return None
    mounted = str(scope.get("root_path") or "")[len(root_path) :]
    known: Collection[str] = getattr(route, "param_convertors", ())
    if getattr(route, "routes", None) is not None:  # a mount, whose own path stands in `mounted` too
        own, known = _MOUNTED, ()
    names = {name: value for name, value in scope.get("path_params", {}).items() if name not in known}
    return (_with_names(mounted, names) if names else mounted) + own


def _included(scope: Scope, route: object) -> object:
    """Return what FastAPI made of a route of a router that another one includes: its path has their prefixes."""
    about = scope.get("fastapi")
    effective = about.get("effective_route_context") if isinstance(about, dict) else None
    return effective if getattr(effective, "original_route", None) is route else route


def _with_names(mounted: str, names: Mapping[str, object]) -> str:
    """Put the names of a mount's parameters in the place of their values: `/shops/7` becomes `/shops/{shop}`."""
    parts, start = mounted.split("/"), 0
    for name, value in names.items():
        try:
            start = parts.index(str(value), start)
        except ValueError:  # one that a `Host` took off the host's name
            continue
        parts[start] = f"{{{name}}}"
    return "/".join(parts)


def _of_endpoint(scope: Scope) -> object:
    """Return the route that leads to the scope's endpoint: before 1.0, Starlette tells no more than that."""
    endpoint, router = scope.get("endpoint"), scope.get("router")
    if endpoint is None or router is None:
        return None
    found = _routes_to(endpoint, router)
    if len(found) < 2:
        return found[0] if found else None
    path, root_path = scope["path"], scope.get("root_path") or ""
    path = path.removeprefix(root_path) if path.startswith(root_path) else path
    return next((route for route in found if getattr(route, "path_regex", _ANY).match(path)), None)


_ANY = re.compile("")
# By the id of a router: itself, which keeps the id its own, and its routes by the ids of their endpoints.
_known: dict[int, tuple[object, dict[int, list[object]]]] = {}


def _routes_to(endpoint: object, router: object) -> list[object]:
    if id(router) not in _known or id(endpoint) not in _known[id(router)][1]:
        if len(_known) >= _MAX_ROUTERS:
            _known.clear()
        _known[id(router)] = (router, _by_endpoint(router, endpoint))
    return _known[id(router)][1][id(endpoint)]


def _by_endpoint(router: object, endpoint: object) -> dict[int, list[object]]:
    found: dict[int, list[object]] = {id(endpoint): []}
    for route in _all(getattr(router, "routes", ())):
        target = getattr(route, "endpoint", None) or getattr(route, "app", None)
        found.setdefault(id(target), []).append(route)
    return found


def _all(routes: Iterable[object]) -> Iterator[object]:
    """Yield routes and those below them, as many as a program may have."""
    waiting = list(routes)
    for _ in range(_MAX_ROUTES):
        if not waiting:
            return
        route = waiting.pop()
        yield route
        waiting.extend(getattr(route, "routes", None) or ())
