"""Notices: what is said again and again is said once in a while, and the rest is counted."""

from __future__ import annotations

import logging

import pytest

from xray_lambda._emitters.notices import Notices


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_each_kind_is_said_once_in_a_while_and_the_unsaid_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    notices = Notices(every=60, clock=lambda: now)
    for _ in range(3):
        notices.say(logging.WARNING, "a", "%d lost", 1)
    notices.say(logging.WARNING, "b", "other")
    now = 59.9
    notices.say(logging.WARNING, "a", "%d lost", 1)
    now = 60.0
    notices.say(logging.WARNING, "a", "%d lost", 7)
    now = 120.0
    notices.say(logging.WARNING, "a", "%d lost", 8)
    assert said(caplog) == [
        "xray_lambda: 1 lost",
        "xray_lambda: other",
        "xray_lambda: 7 lost (3 more of this kind before)",
        "xray_lambda: 8 lost",
    ]


def test_kinds_that_the_other_side_makes_up_are_bounded() -> None:
    notices = Notices()
    for number in range(1000):
        notices.say(logging.DEBUG, str(number), "x")
    assert len(notices._said) <= 100


def test_a_percent_sign_in_what_is_told_is_no_format(caplog: pytest.LogCaptureFixture) -> None:
    Notices().say(logging.WARNING, "a", "X-Ray said %s", "100%s sure")
    assert said(caplog) == ["xray_lambda: X-Ray said 100%s sure"]
