"""The Django site of the tests: settings, URLs, views; servers run it as `tests.web.django_site:application`."""

from __future__ import annotations

import asyncio
import os
import tempfile
from typing import TYPE_CHECKING, Any

import django
from django.conf import settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

DOOR = "xray_lambda.web.django.XRayMiddleware"
FOLDER = tempfile.mkdtemp(prefix="xray-django-")
TEMPLATES = {
    "item.html": "{% include 'part.html' %} {{ item }}",
    "part.html": "item",
    "broken.html": "{% include part %}{{ boom }}",
    "jinja.html": "jinja {{ item }}",
}

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["testserver", "127.0.0.1", "shop.example.com"],
        CACHES={
            "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
            "files": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": FOLDER},
            "dummy": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
        },
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.path.join(FOLDER, "shop.db")}},  # noqa: PTH118
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "xray_lambda.web.django"],
        MIDDLEWARE=[DOOR],
        ROOT_URLCONF="tests.web.django_site",
        SECRET_KEY="made-up",
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {"loaders": [("django.template.loaders.locmem.Loader", TEMPLATES)]},
            },
            {"BACKEND": "django.template.backends.jinja2.Jinja2", "NAME": "jinja2", "DIRS": [FOLDER]},
        ],
        USE_TZ=True,
    )
    with open(os.path.join(FOLDER, "jinja.html"), "w", encoding="utf-8") as file:  # noqa: PTH118, PTH123
        file.write(TEMPLATES["jinja.html"])
    django.setup()

from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation  # noqa: E402 - configured by now
from django.core.handlers.asgi import ASGIHandler  # noqa: E402
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.db import connection  # noqa: E402
from django.http import FileResponse, Http404, HttpResponse, StreamingHttpResponse  # noqa: E402
from django.shortcuts import redirect, render  # noqa: E402
from django.urls import path, re_path  # noqa: E402

from xray_lambda import annotate, subsegment, trace_id  # noqa: E402

ERRORS: dict[str, Callable[[], Exception]] = {
    "value": lambda: ValueError("no such price"),
    "missing": lambda: Http404("no such item"),
    "denied": lambda: PermissionDenied("not yours"),
    "bad": lambda: BadRequest("what?"),
    "suspicious": lambda: SuspiciousOperation("hm"),
}


def error(name: str) -> Exception:
    return ERRORS[name]()


def show(request: Any, item: int) -> HttpResponse:
    with subsegment("load"):
        annotate(item=item)
    return render(request, "item.html", {"item": item})


async def show_later(request: Any, item: int) -> HttpResponse:
    with subsegment("load"):
        await asyncio.sleep(0)
        annotate(item=item)
    return HttpResponse(f"item {item}")


def fail(request: Any, name: str) -> HttpResponse:
    raise error(name)


async def fail_later(request: Any, name: str) -> HttpResponse:
    await asyncio.sleep(0)
    raise error(name)


def stream(request: Any) -> StreamingHttpResponse:
    def chunks() -> Iterator[str]:
        yield str(trace_id())
        with subsegment("more"):
            yield " and more"

    return StreamingHttpResponse(chunks())


async def stream_later(request: Any) -> StreamingHttpResponse:
    async def chunks() -> AsyncIterator[str]:
        yield str(trace_id())
        with subsegment("more"):
            await asyncio.sleep(0)
            yield " and more"

    return StreamingHttpResponse(chunks())


def stream_and_fail(request: Any) -> StreamingHttpResponse:
    def chunks() -> Iterator[str]:
        yield "begun"
        raise ValueError("half-way")

    return StreamingHttpResponse(chunks())


def send_file(request: Any) -> FileResponse:
    return FileResponse(open(os.path.join(FOLDER, "jinja.html"), "rb"))  # noqa: PTH118, PTH123 - Django closes it


def query(request: Any) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s || 'secret'", ["value"])
        return HttpResponse(cursor.fetchone()[0])


def who(request: Any) -> HttpResponse:
    return HttpResponse(str(getattr(request, "user", None)))


def echo(request: Any, name: str) -> HttpResponse:
    """Answer with what tells requests apart: the name, the trace, and what is recorded under."""
    annotate(name=name)
    with subsegment(name) as sub:
        sub.annotate(name=name)
        return HttpResponse(f"{name} {trace_id()}")


async def echo_later(request: Any, name: str) -> HttpResponse:
    annotate(name=name)
    with subsegment(name) as sub:
        await asyncio.sleep(0.001)
        sub.annotate(name=name)
        return HttpResponse(f"{name} {trace_id()}")


urlpatterns = [
    path("items/<int:item>/", show),
    path("later/items/<int:item>/", show_later),
    re_path(r"^old/(?P<item>\d+)$", lambda request, item: HttpResponse(item)),
    path("fail/<name>", fail),
    path("later/fail/<name>", fail_later),
    path("redirect", lambda request: redirect("/items/1/")),
    path("stream", stream),
    path("later/stream", stream_later),
    path("stream-and-fail", stream_and_fail),
    path("file", send_file),
    path("query", query),
    path("who", who),
    path("jinja", lambda request: render(request, "jinja.html", {"item": 7}, using="jinja2")),
    path("string", lambda request: HttpResponse(_of_a_string())),
    path("host", lambda request: HttpResponse(request.get_host())),
    path("echo/<name>", echo),
    path("later/echo/<name>", echo_later),
]


def _of_a_string() -> str:
    from django.template import engines

    return str(engines["django"].from_string("string {{ item }}").render({"item": 7}))


class Breaking:
    """A middleware that raises on the way in or out, as its request says."""

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        if "in" in request.GET:
            raise LookupError("on the way in")
        response = self.get_response(request)
        if "out" in request.GET:
            raise LookupError("on the way out")
        return response


class Handling:
    """A middleware that answers the exceptions of views."""

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        return self.get_response(request)

    def process_exception(self, request: Any, error: Exception) -> HttpResponse:
        return HttpResponse("sorry", status=int(request.GET["status"]))


application = WSGIHandler()
asgi_application = ASGIHandler()
