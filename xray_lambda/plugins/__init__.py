"""Host data: where the program runs, as far as its host says so. Detected in the background, once a process."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from xray_lambda._context import current
from xray_lambda._entity import UNTRACED
from xray_lambda._guard import swallow
from xray_lambda.plugins import ec2, ecs, eks, elastic_beanstalk
from xray_lambda.plugins._ask import NoAnswerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    Found = dict[str, Any]
    Plugin = Callable[[Mapping[str, str]], Found]

# The most specific place first, as `_config.HOSTS` has them.
PLUGINS: dict[str, Plugin] = {
    "elastic_beanstalk": elastic_beanstalk.detect,
    "eks": eks.detect,
    "ecs": ecs.detect,
    "ec2": ec2.detect,
}

NOTHING: Found = {}


class Host:
    """What is found of the host: `origin` and the `aws` section of segments, nothing until it is known.

    The first segment starts the thread that asks; nobody waits for it. A forked child has what its parent knew; where
    that was not known yet, it asks for itself.
    """

    def __init__(self, names: Iterable[str], plugins: Mapping[str, Plugin] | None = None) -> None:
        self._names = tuple(names)
        self._plugins = PLUGINS if plugins is None else plugins
        self._found: Found | None = None
        self._asked_by = 0  # the process whose thread has asked, or does

    def __call__(self) -> Found:
        """Return what is known by now, always the same object as long as it is; never waits, never raises."""
        if self._found is not None:
            return self._found
        if self._asked_by != os.getpid():
            self._asked_by = os.getpid()
            self._start()
        return NOTHING

    def _start(self) -> None:
        try:
            threading.Thread(target=self._ask, name="xray_lambda-host", daemon=True).start()
        except Exception:  # noqa: BLE001 - no thread is to be had: segments go without
            self._found = NOTHING

    def _ask(self) -> None:
        current.set(UNTRACED)  # what we ask is no part of the program's traces
        try:
            self._found = detect(self._names, self._plugins, os.environ)
        except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
            self._found = NOTHING
            swallow(fault)


def detect(names: Iterable[str], plugins: Mapping[str, Plugin], environ: Mapping[str, str]) -> Found:
    """Ask these plugins, and put what they find together: the first origin, every part of `aws`."""
    origin: str | None = None
    aws: dict[str, Any] = {}
    for name in names:
        try:
            found = plugins[name](environ)
        except NoAnswerError:  # we are not there
            continue
        except Exception as fault:  # noqa: BLE001 - an answer of a kind that nobody thought of
            swallow(fault)
            continue
        origin = origin or found.get("origin")
        aws.update(found.get("aws", {}))
    return {**({"origin": origin} if origin else {}), **({"aws": aws} if aws else {})}
