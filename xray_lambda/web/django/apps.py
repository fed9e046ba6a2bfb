"""The Django app: what is traced of Django is so from the start of any process, and `manage.py check` looks at it."""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings
from django.core import checks

from xray_lambda.web.django.settings import current, install

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from collections.abc import Iterable

MIDDLEWARE = "xray_lambda.web.django.XRayMiddleware"


class XRayConfig(AppConfig):  # type: ignore[misc]  # Django ships no types
    """The app by the name that INSTALLED_APPS has."""

    name = "xray_lambda.web.django"
    label = "xray_lambda"  # "django" would be taken for Django's own
    verbose_name = "AWS X-Ray"

    def ready(self) -> None:
        """Do what the settings say."""
        install()
        checks.register(check)


def check(app_configs: Iterable[object] | None, **_: object) -> list[checks.CheckMessage]:  # noqa: ARG001 - as called
    """Say what is wrong with the settings, and whether the middleware is there, and first."""
    problems = [checks.Warning(problem, id="xray_lambda.W001") for problem in current().problems]
    if MIDDLEWARE not in settings.MIDDLEWARE:
        words = f"no request is traced: {MIDDLEWARE!r} is not in MIDDLEWARE"
        return [*problems, checks.Warning(words, hint="Put it first.", id="xray_lambda.W002")]
    if settings.MIDDLEWARE[0] != MIDDLEWARE:
        words = f"what stands in MIDDLEWARE before {MIDDLEWARE!r} is not part of the trace"
        problems.append(checks.Info(words, hint="Put it first.", id="xray_lambda.I001"))
    return problems
