"""Flask: `XRayMiddleware(app, service="shop")`, or `init_app` in a factory; templates are subsegments."""

from __future__ import annotations

from functools import partial, wraps

from xray_lambda._guard import guarded
from xray_lambda.libraries._card import card
from xray_lambda.web._door import Door
from xray_lambda.web._exchange import KEY
from xray_lambda.web._frameworks import not_installed, trace, until_over
from xray_lambda.web.wsgi import run, say_user

try:
    from flask import request, templating
except ImportError as missing:
    raise not_installed("Flask", missing) from missing

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from flask import Flask

    from xray_lambda.libraries._card import Call, Done, Steps
    from xray_lambda.web._exchange import Exchange
    from xray_lambda.web.wsgi import Environ, User

__all__ = ["XRayMiddleware"]

_EXTENSION = "xray_lambda"


class XRayMiddleware:
    """Traces a Flask app: `XRayMiddleware(app, service="shop")`, or `xray = XRayMiddleware()` and `xray.init_app(app)`.

    The options are those of `xray_lambda.web.wsgi.XRayMiddleware`; `user=function` is asked for each request, with
    Flask's `request`: `user=lambda request: current_user.get_id()`. Without `service` it is the app's own name.
    """

    def __init__(
        self,
        app: Flask | None = None,
        service: str | None = None,
        *,
        hosts: str | None = None,
        ignore_paths: str | Iterable[str] = (),
        user_agent: bool = False,
        user: User = False,
    ) -> None:
        self.user = user
        self._make_door = partial(Door, service=service, hosts=hosts, ignore_paths=ignore_paths, user_agent=user_agent)
        self._make_door()  # what makes no sense is said here
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Trace an app; one that is traced already stays as it is."""
        if _EXTENSION in app.extensions:
            return
        app.extensions[_EXTENSION] = self
        changed: Any = app  # its methods may be replaced, which mypy likes less than Flask does
        changed.wsgi_app = partial(run, self._make_door(otherwise=app.name), app.wsgi_app, describe=self._describe)
        changed.handle_user_exception = _told(app.handle_user_exception)
        changed.handle_exception = _told(app.handle_exception)
        trace("Flask", templating, render, stream)

    def _describe(self, environ: Environ, exchange: Exchange) -> None:
        """Record the route and who asked; Flask's request stands in the environ."""
        asked = environ.get("werkzeug.request")
        _say_route(exchange, asked)
        if self.user:
            say_user(exchange, self.user, asked, environ.get("REMOTE_USER"))


def _say_route(exchange: Exchange, asked: Any) -> None:
    rule = getattr(asked, "url_rule", None)
    if rule is not None:
        exchange.routed((asked.environ.get("SCRIPT_NAME") or "") + rule.rule)


def _told(handle: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method of an app that makes an answer of an exception, and tells the exchange of it first."""

    @wraps(handle)
    def handle_and_tell(*args: Any) -> Any:
        _tell(args[-1])
        return handle(*args)

    return handle_and_tell


@guarded
def _tell(error: object) -> None:
    exchange = request.environ.get(KEY)
    if exchange is not None and isinstance(error, Exception):
        exchange.caught(error)
        _say_route(exchange, request)  # where the exception passes, Flask has forgotten it by then


@card("flask.templating:_render(app, template)")
def render(call: Call) -> Steps:
    """Record a rendering."""
    yield call.parent.child(_name_of(call["template"]))


@card("flask.templating:_stream(app, template)")
def stream(call: Call) -> Steps:
    """Record a rendering that goes on while it is sent."""
    chunks = yield call.parent.child(_name_of(call["template"]))

    def until(done: Done) -> None:
        call.result = until_over(chunks, done)

    yield until


def _name_of(template: Any) -> str:
    return template.name or "template"  # one of a string has none
