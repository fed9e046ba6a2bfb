"""urllib3: managers and pools, retries, answers that are read later; what it shares with those built upon it."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING

import pytest
import urllib3

from tests.servers.process import free_port
from xray_lambda import patch, patch_all, subsegment
from xray_lambda.testing import ROOT, capture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.http import Server


@pytest.fixture(autouse=True)
def patched() -> None:
    patch_all()


@pytest.fixture
def pools() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(timeout=20) as made:
        yield made


@pytest.fixture
def pool(web: Server) -> Iterator[urllib3.HTTPConnectionPool]:
    with urllib3.HTTPConnectionPool("127.0.0.1", web.server_port, timeout=20, headers={"X-Mine": "1"}) as made:
        yield made


def test_a_call_to_a_pool_is_one_too_and_leaves_the_pools_headers_alone(
    pool: urllib3.HTTPConnectionPool, web: Server
) -> None:
    with capture() as traces:
        with subsegment("handler"):
            pool.urlopen("GET", "/status/200?secret=1")
            pool.request("GET", f"{web.url}/status/200")
        urls = [child.document["http"]["request"]["url"] for child in traces.one.children]
        expected = [[f"Root={ROOT};Parent={child.id};Sampled=1"] for child in traces.one.children]
    assert urls == [f"{web.url}/status/200"] * 2
    assert [received.trace for received in web.received] == expected
    assert web.last.all("X-Mine") == ["1"]
    assert dict(pool.headers) == {"X-Mine": "1"}


@pytest.mark.parametrize("through", ["manager", "pool"])
def test_retries_are_part_of_the_call(
    pools: urllib3.PoolManager, pool: urllib3.HTTPConnectionPool, web: Server, through: str
) -> None:
    retries = urllib3.Retry(3, status_forcelist=[503], backoff_factor=0)
    with capture() as traces:
        with subsegment("handler"):
            if through == "manager":
                pools.request("GET", f"{web.url}/flaky/2", retries=retries)
            else:
                pool.request("GET", "/flaky/2", retries=retries)
        (node,) = traces.one.children
    assert (node.flags, node.document["http"]["response"]["status"]) == (set(), 200)
    assert [received.trace for received in web.received] == [[f"Root={ROOT};Parent={node.id};Sampled=1"]] * 3


def test_retries_that_run_out_are_a_fault(pools: urllib3.PoolManager, web: Server) -> None:
    retries = urllib3.Retry(1, status_forcelist=[503], backoff_factor=0)
    with capture() as traces:
        with subsegment("handler"), pytest.raises(urllib3.exceptions.MaxRetryError):
            pools.request("GET", f"{web.url}/flaky/9?token=opensesame", retries=retries)
        (node,) = traces.one.children
    assert (node.flags, len(web.received)) == ({"fault"}, 2)
    assert "too many 503 error responses" in node.exceptions[0]["message"]
    assert "opensesame" not in str(node.document)


def test_an_answer_that_is_dropped_unread_ends_the_call_and_is_not_kept_alive(
    pools: urllib3.PoolManager, web: Server
) -> None:
    with capture() as traces:
        response = pools.request("GET", f"{web.url}/streamed", preload_content=False)
        gone = weakref.ref(response)
        assert len(traces) == 0
        del response
        gc.collect()
        assert gone() is None
        assert traces.one.document["http"]["response"] == {"status": 200}


def test_an_answer_given_back_unread_ends_the_call(pools: urllib3.PoolManager, web: Server) -> None:
    with capture() as traces:
        response = pools.request("GET", f"{web.url}/status/200", preload_content=False)
        assert len(traces) == 0
        response.release_conn()
        assert len(traces) == 1
        response.close()


def test_what_fails_elsewhere_is_no_failure_of_the_call(pools: urllib3.PoolManager, web: Server) -> None:
    with capture() as traces:
        response = pools.request("GET", f"{web.url}/streamed", preload_content=False)
        try:
            raise LookupError("the program's own")
        except LookupError:
            response.close()
        assert traces.one.flags == set()


def test_an_answer_outlives_the_subsegment_that_it_was_asked_for_in(pools: urllib3.PoolManager, web: Server) -> None:
    with capture() as traces:
        with subsegment("handler"):
            response = pools.request("GET", f"{web.url}/streamed", preload_content=False)
        web.gate.set()
        with subsegment("later"):
            assert len(response.read()) > 0
        handler, later = traces.roots
    assert (handler.names(), later.names()) == (("handler", [(web.name, [])]), ("later", []))
    assert handler.children[0].document["end_time"] > handler.document["end_time"]


def test_the_parts_of_a_body_are_as_they_were(pools: urllib3.PoolManager, web: Server) -> None:
    web.gate.set()
    with capture(), subsegment("handler"):
        response = pools.request("GET", f"{web.url}/streamed", preload_content=False)
        assert type(response) is urllib3.HTTPResponse
        assert b"".join(response.stream(4)) == b"first half second half"
        assert not [name for name in vars(response) if "xray" in name]


def test_a_library_above_that_is_traced_alone_brings_no_subsegments_of_urllib3s(
    pools: urllib3.PoolManager, web: Server
) -> None:
    from xray_lambda import unpatch

    unpatch()
    patch("requests")
    with capture() as traces:
        with subsegment("handler"):
            pools.request("GET", f"{web.url}/status/200")
        assert traces.one.children == []
    assert web.last.trace == []


def test_a_pool_that_is_closed_fails_as_before(web: Server) -> None:
    pool = urllib3.HTTPConnectionPool("127.0.0.1", free_port())
    pool.close()
    with capture() as traces:
        with pytest.raises(urllib3.exceptions.ClosedPoolError):
            pool.request("GET", "/")
        assert traces.one.flags == {"fault"}


def test_a_url_that_leads_nowhere_fails_as_before_and_is_no_call(pools: urllib3.PoolManager) -> None:
    """urllib3 quotes what it took for the host, which may be the beginning of a password."""
    with capture() as traces:
        for url in ("http://me:sword/fish@example.com/", "http:///path"):
            with pytest.raises(urllib3.exceptions.LocationValueError):
                pools.request("GET", url)
        assert len(traces) == 0
