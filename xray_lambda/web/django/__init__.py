"""Django: `"xray_lambda.web.django.XRayMiddleware"` first in MIDDLEWARE makes each request a segment.

`"xray_lambda.web.django"` in INSTALLED_APPS is optional: commands and workers are traced with it too, and
`manage.py check` looks at the settings. These stand in a dict: `XRAY = {"service": "shop"}`.
"""

from __future__ import annotations

from xray_lambda.web._frameworks import not_installed

try:
    import django as _django  # noqa: F401 - to say what is missing before anything fails for it
except ImportError as missing:
    raise not_installed("Django", missing) from missing

from xray_lambda.web.django.middleware import XRayMiddleware

__all__ = ["XRayMiddleware"]
