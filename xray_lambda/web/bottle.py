"""Bottle: `app.install(XRayPlugin(service="shop"))` makes each request a segment, and each template a subsegment."""

from __future__ import annotations

from functools import partial, wraps

from xray_lambda._guard import guarded
from xray_lambda.libraries._card import card
from xray_lambda.web._door import Door
from xray_lambda.web._exchange import KEY
from xray_lambda.web._frameworks import not_installed, trace
from xray_lambda.web.wsgi import run, say_user

try:
    import bottle
except ImportError as missing:
    raise not_installed("bottle", missing) from missing

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from xray_lambda.libraries._card import Call, Steps
    from xray_lambda.web._exchange import Exchange
    from xray_lambda.web.wsgi import Environ, User

__all__ = ["XRayPlugin"]


class XRayPlugin:
    """Traces a Bottle app: `app.install(XRayPlugin(service="shop"))`, `bottle.install(...)` for the default one.

    The options are those of `xray_lambda.web.wsgi.XRayMiddleware`; `user=function` is asked for each request, with
    Bottle's `request`. What `redirect()` and `abort(404)` raise is an answer, and no fault.
    """

    name = "xray_lambda"
    api = 2

    def __init__(
        self,
        service: str | None = None,
        *,
        hosts: str | None = None,
        ignore_paths: str | Iterable[str] = (),
        user_agent: bool = False,
        user: User = False,
    ) -> None:
        self.door = Door(service=service, hosts=hosts, ignore_paths=ignore_paths, user_agent=user_agent)
        self.user = user

    def setup(self, app: Any) -> None:
        """Stand before the app: a plugin sees neither what no route matches nor the answer's last byte."""
        if "wsgi" not in vars(app):  # another plugin of ours stands there
            app.wsgi = partial(run, self.door, app.wsgi, describe=self._describe)
        trace("Bottle", bottle, render)

    def apply(self, callback: Callable[..., Any], route: Any) -> Callable[..., Any]:  # noqa: ARG002 - as Bottle calls it
        """Tell the exchange of an exception of a route's callback, which Bottle makes a 500 of."""

        @wraps(callback)
        def call_and_tell(*args: Any, **kwargs: Any) -> Any:
            try:
                return callback(*args, **kwargs)
            except Exception as error:
                _tell(error)
                raise

        return call_and_tell

    def _describe(self, environ: Environ, exchange: Exchange) -> None:
        route = environ.get("bottle.route")
        if route is not None:
            exchange.routed((environ.get("SCRIPT_NAME") or "") + route.rule)
        if self.user:
            say_user(exchange, self.user, bottle.request, environ.get("REMOTE_USER"))


@guarded
def _tell(error: Exception) -> None:
    exchange = bottle.request.environ.get(KEY)
    if exchange is not None and not isinstance(error, bottle.HTTPResponse):
        exchange.caught(error)


@card(
    "bottle:SimpleTemplate.render(self)",
    "bottle:Jinja2Template.render(self)",
    "bottle:MakoTemplate.render(self)",
    "bottle:CheetahTemplate.render(self)",
)
def render(call: Call) -> Steps:
    """Record a rendering, but not that of Bottle's own error page; a template of a string has no name."""
    template = call["self"]
    if template.source is not bottle.ERROR_PAGE_TEMPLATE:
        yield call.parent.child(template.name or "template")
