"""Django's templates: each rendering by either engine is a subsegment named after the template."""

from __future__ import annotations

from django.template.backends import django as engine

from xray_lambda.libraries._card import card
from xray_lambda.libraries._patching import when_imported
from xray_lambda.web._frameworks import trace

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from xray_lambda.libraries._card import Call, Steps

_JINJA2 = "django.template.backends.jinja2"


def trace_them() -> None:
    """Trace Django's engine, and Jinja2 where the program has it."""
    trace("Django", engine, render)
    when_imported(_JINJA2, lambda module: trace("Django", module, render))


@card(
    "django.template.backends.django:Template.render(self, context)",
    f"{_JINJA2}:Template.render(self, context)",
)
def render(call: Call) -> Steps:
    """Record a rendering; a template of a string has no name."""
    yield call.parent.child(getattr(call["self"].template, "name", None) or "template")
