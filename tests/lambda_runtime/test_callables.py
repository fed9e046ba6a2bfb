"""What can be decorated with `@traced_handler`, plain and async, and what its subsegment is called then."""

from __future__ import annotations

from textwrap import dedent

import pytest

from tests.lambda_runtime.documents import cold, plain
from tests.lambda_runtime.runtime import invoke
from tests.lambda_runtime.runtime_api import Invocation
from xray_lambda import traced_handler

DEFINITIONS = """
import asyncio
from functools import partial, wraps
from xray_lambda import traced_handler

def answer(event, context):
    return [event, context.function_name]

async def answer_later(event, context):
    await asyncio.sleep(0)
    return answer(event, context)

def logged(function):
    @wraps(function)
    def log_and_call(*args, **kwargs):
        return function(*args, **kwargs)
    return log_and_call

"""

HANDLERS = {
    "handler": """
        @traced_handler
        def handler(event, context):
            return answer(event, context)
    """,
    "shop": """
        @traced_handler(name="shop")
        def handler(event, context):
            return answer(event, context)
    """,
    "answer": "handler = traced_handler()(answer)",
    "_lambda_": "handler = traced_handler(lambda event, context: answer(event, context))",
    "any_arguments": """
        @traced_handler
        def any_arguments(*args, **kwargs):
            return answer(*args, **kwargs)

        handler = any_arguments
    """,
    "inner": """
        def make():
            @traced_handler
            def inner(event, context):
                return answer(event, context)
            return inner

        handler = make()
    """,
    "Shop.method": """
        class Shop:
            @traced_handler
            def method(self, event, context):
                return answer(event, context)

        handler = Shop().method
    """,
    "Shop.bound_method": """
        class Shop:
            def bound_method(self, event, context):
                return answer(event, context)

        handler = traced_handler(Shop().bound_method)
    """,
    "Shop.class_method": """
        class Shop:
            @classmethod
            @traced_handler
            def class_method(cls, event, context):
                return answer(event, context)

        handler = Shop.class_method
    """,
    "Shop.static_method": """
        class Shop:
            @traced_handler
            @staticmethod
            def static_method(event, context):
                return answer(event, context)

        handler = Shop.static_method
    """,
    "CallableObject": """
        class CallableObject:
            def __call__(self, event, context):
                return answer(event, context)

        handler = traced_handler(CallableObject())
    """,
    "partially": """
        def partially(first, event, context):
            return answer(event, context)

        handler = traced_handler(partial(partial(partially, 1)))
    """,
    "logged_below": """
        @traced_handler
        @logged
        def logged_below(event, context):
            return answer(event, context)

        handler = logged_below
    """,
    "logged_above": """
        @logged
        @traced_handler
        def logged_above(event, context):
            return answer(event, context)

        handler = logged_above
    """,
    "decorated twice": """
        handler = traced_handler(traced_handler(name="decorated twice")(answer))
    """,
    "decorated_twice_in_layers": """
        @traced_handler
        @logged
        @traced_handler
        def decorated_twice_in_layers(event, context):
            return answer(event, context)

        handler = decorated_twice_in_layers
    """,
    "answer_later": "handler = traced_handler(answer_later)",
    "async shop": "handler = traced_handler(name='async shop')(answer_later)",
    "partially_async": """
        async def partially_async(first, event, context):
            return await answer_later(event, context)

        handler = traced_handler(partial(partially_async, 1))
    """,
    "AsyncObject": """
        class AsyncObject:
            async def __call__(self, event, context):
                return await answer_later(event, context)

        handler = traced_handler(AsyncObject())
    """,
    "Shop.async_method": """
        class Shop:
            @traced_handler
            async def async_method(self, event, context):
                return await answer_later(event, context)

        handler = Shop().async_method
    """,
    "async decorated twice": """
        handler = traced_handler(traced_handler(name="async decorated twice")(answer_later))
    """,
}


@pytest.mark.parametrize("name", HANDLERS)
def test_whatever_can_be_called_can_be_a_handler(name: str) -> None:
    outcome = invoke(DEFINITIONS + dedent(HANDLERS[name]), Invocation(event={"order": 17}))
    assert outcome.bodies == [[{"order": 17}, "shop"]]
    assert plain(outcome.documents) == [cold(name)]


@pytest.mark.parametrize("thing", [17, "app.handler", classmethod(lambda cls, event, context: None)])
def test_what_cannot_be_called_is_refused_by_name(thing: object) -> None:
    with pytest.raises(TypeError, match=r"@traced_handler takes a function, not (17|'app.handler'|<classmethod)"):
        traced_handler(thing)  # type: ignore[call-overload]


def test_the_handler_still_looks_like_itself() -> None:
    def handler(event: int, context: object) -> int:
        """Say what it does."""
        return event

    traced = traced_handler(handler)
    assert (traced.__name__, traced.__doc__, traced.__module__) == ("handler", "Say what it does.", __name__)
    assert traced.__wrapped__ is handler  # type: ignore[attr-defined]
    assert traced.__annotations__ == handler.__annotations__
