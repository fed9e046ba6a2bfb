"""The sampling rules, seen and replaced; what is wrong with one is said by rule and field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.routing import Route

from xray_lambda.viewer.rules import RulesError
from xray_lambda.viewer.screen.asked import answered, json
from xray_lambda.viewer.screen.state import is_from_the_page, refused

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from xray_lambda.viewer.serve import Viewer


def routes(viewer: Viewer) -> list[Route]:
    """Return the routes of sampling rules."""

    async def replace(request: Request) -> Response:
        if not is_from_the_page(request):
            return refused()
        body = await request.body()
        return await run_in_threadpool(_replace, viewer, body)

    return [
        Route("/api/rules", answered(lambda _: _rules(viewer)), methods=["GET"]),
        Route("/api/rules", replace, methods=["PUT"]),
    ]


def _rules(viewer: Viewer) -> dict[str, Any]:
    problem = viewer.rules.problem
    path = viewer.rules.path
    return {
        "rules": viewer.rules.rules,
        "file": None if path is None else str(path),
        "problem": None if problem is None else str(problem),
    }


def _replace(viewer: Viewer, body: bytes) -> Response:
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError as fault:
        return json({"message": f"That is not JSON: {fault}"}, 400)
    try:
        viewer.rules.replace(given)
    except RulesError as fault:
        errors = [{"rule": rule, "field": field, "message": message} for rule, field, message in fault.problems]
        return json({"errors": errors})  # a mistake in a form is no failed request
    return json(_rules(viewer))
