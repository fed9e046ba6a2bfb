"""patch, patch_all and unpatch: by name, once, and undone."""

from __future__ import annotations

import threading

import pytest

from xray_lambda import configure, patch, patch_all, unpatch
from xray_lambda.libraries import SUPPORTED

START = threading.Thread.start


def test_patching_twice_is_patching_once_and_unpatching_puts_the_original_back() -> None:
    patch("threads")
    once = threading.Thread.start
    patch("threads")
    patch_all()
    assert threading.Thread.start is once is not START
    unpatch("threads")
    unpatch()
    assert threading.Thread.start is START


def test_an_ignored_library_is_left_alone() -> None:
    patch_all(ignore=["threads"])
    patch_all(ignore="threads")
    assert threading.Thread.start is START


def test_a_disabled_tracer_patches_nothing() -> None:
    configure(enabled=False)
    patch_all()
    assert threading.Thread.start is START


@pytest.mark.parametrize("call", [patch, unpatch, lambda name: patch_all(ignore=[name])])
def test_an_unknown_name_is_told_with_the_nearest_known(call: object) -> None:
    with pytest.raises(ValueError, match="unknown library 'thread': did you mean 'threads'\\? the known ones are"):
        call("thread")  # type: ignore[operator]
    with pytest.raises(ValueError, match=f"unknown library 'x': the known ones are {', '.join(sorted(SUPPORTED))}"):
        call("x")  # type: ignore[operator]
