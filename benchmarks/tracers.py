"""The tracers that are compared, each set up as its documentation says, and the handlers that they trace."""

from __future__ import annotations

import os
import socket
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    Handler = Callable[[object, object], object]


class Tracer(NamedTuple):
    """How a tracer decorates a handler, opens a subsegment, and annotates it."""

    wrap: Callable[[Any], Any] = lambda handler: handler
    block: Callable[[str], AbstractContextManager[Any]] = lambda name: nullcontext()  # noqa: ARG005
    put: Callable[[Any, str, object], object] = lambda block, key, value: None  # noqa: ARG005


def waiting() -> Tracer:
    """Spend 25 us after the handler, as a tracer that sends that often does."""
    return Tracer(_then(lambda: None))


def datagram() -> Tracer:
    """Wait as long, then send 350 bytes: what this adds to `waiting` is the price of one datagram."""
    host, _, port = os.environ["AWS_XRAY_DAEMON_ADDRESS"].partition(":")
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.connect((host, int(port)))
    return Tracer(_then(lambda: sender.send(b"x" * 350)))


def _then(finish: Callable[[], object]) -> Callable[[Handler], Handler]:
    def wrap(handler: Handler) -> Handler:
        def waited(event: object, context: object) -> object:
            result = handler(event, context)
            for _ in range(1500):
                pass
            finish()
            return result

        return waited

    return wrap


def peer() -> Tracer:
    """Set up aws-xray-sdk, which leaves the handler as it is."""
    from aws_xray_sdk.core import patch_all, xray_recorder  # noqa: PLC0415

    patch_all()
    return Tracer(block=xray_recorder.in_subsegment, put=lambda block, key, value: block.put_annotation(key, value))


def ours() -> Tracer:
    """Set up xray_lambda, which decorates the handler."""
    from xray_lambda import patch_all, subsegment, traced_handler  # noqa: PLC0415

    patch_all()
    return Tracer(traced_handler, subsegment, lambda block, key, value: block.annotate({key: value}))


TRACERS = {"bare": Tracer, "waiting": waiting, "datagram": datagram, "aws-xray-sdk": peer, "xray_lambda": ours}


def handlers(tracer: Tracer) -> dict[str, Handler]:
    """Return the handlers by name: with no subsegment, one, ten (nested and annotated), and a hundred."""

    def empty(event: object, context: object) -> object:  # noqa: ARG001
        return {"statusCode": 200}

    def one(event: object, context: object) -> object:  # noqa: ARG001
        with tracer.block("work"):
            return {"statusCode": 200}

    def ten(event: object, context: object) -> object:  # noqa: ARG001
        for index in range(5):
            with tracer.block("outer") as outer:
                tracer.put(outer, "index", index)
                tracer.put(outer, "kind", "outer")
                with tracer.block("inner") as inner:
                    tracer.put(inner, "index", index)
                    tracer.put(inner, "kind", "inner")
        return {"statusCode": 200}

    def hundred(event: object, context: object) -> object:  # noqa: ARG001
        with tracer.block("parent"):
            for _ in range(100):
                with tracer.block("child"):
                    pass
        return {"statusCode": 200}

    return {"empty": empty, "one": one, "ten": ten, "hundred": hundred}
