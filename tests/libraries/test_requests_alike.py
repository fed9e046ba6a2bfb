"""What all HTTP clients do alike, whichever library is called: http.client, urllib3, requests, httpx, aiohttp."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import threading
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
import requests

from tests.libraries.http_clients import CLIENTS, Aiohttp, AsyncClient, Client, HttpClient, Requests, Urllib3
from tests.servers.process import free_port
from xray_lambda import patch, patch_all, subsegment, unpatch
from xray_lambda.libraries import SUPPORTED
from xray_lambda.testing import HEADER, ROOT, capture, counting_ids, fake_clock

if TYPE_CHECKING:
    from tests.servers.http import Server
    from xray_lambda.testing import Node, Traces

UNSAMPLED = HEADER.replace("Sampled=1", "Sampled=0")
SECRETS = ("swordfish", "opensesame")

each_client = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: type(client).__name__)
each_streaming = pytest.mark.parametrize(
    "client",
    [client for client in CLIENTS if client.library != "http.client"],
    ids=lambda client: type(client).__name__,
)


@pytest.fixture(autouse=True)
def all_patched() -> None:
    patch_all()


def called(client: Client, url: str, **options: object) -> Node:
    """Make one call in a trace and return its subsegment, the only one."""
    with capture() as traces:
        with subsegment("handler"):
            client.get(url, **options)  # type: ignore[arg-type]
        return only_child(traces)


def only_child(traces: Traces) -> Node:
    (child,) = traces.one.children
    assert child.children == []
    return child


@each_client
def test_a_call_is_one_subsegment_whatever_it_calls_in_turn(client: Client, web: Server) -> None:
    with capture(clock=fake_clock(), new_id=counting_ids()) as traces:
        with subsegment("handler"):
            assert client.get(f"{web.url}/status/200") == 200
        assert only_child(traces).document == {
            "name": web.name,
            "id": "0000000000000002",
            "start_time": 1700000000.001,
            "end_time": 1700000000.002,
            "namespace": "remote",
            "http": {
                "request": {"method": "GET", "url": f"{web.url}/status/200"},
                "response": {"status": 200, "content_length": 5},
            },
        }
        assert web.last.trace == [f"Root={ROOT};Parent=0000000000000002;Sampled=1"]
        assert len(web.received) == 1


@each_client
@pytest.mark.parametrize(("status", "flags"), [(404, {"error"}), (429, {"error", "throttle"}), (503, {"fault"})])
def test_an_answer_that_is_no_success_is_marked(client: Client, web: Server, status: int, flags: set[str]) -> None:
    node = called(client, f"{web.url}/status/{status}")
    assert (node.flags, node.document["http"]["response"]["status"], node.exceptions) == (flags, status, [])


@each_client
def test_the_headers_of_the_program_stay_as_they_are(client: Client, web: Server) -> None:
    """A header that came with another request is not sent on beside ours, nor instead of it."""
    headers = {"X-Mine": "1", "x-amzn-trace-id": "Root=1-00000000-stale;Parent=stale;Sampled=1"}
    before = dict(headers)
    node = called(client, f"{web.url}/headers", headers=headers)
    assert headers == before
    assert web.last.trace == [f"Root={ROOT};Parent={node.id};Sampled=1"]
    assert web.last.all("X-Mine") == ["1"]


@each_client
def test_nothing_is_left_behind_for_a_call_outside_the_trace(client: Client, web: Server) -> None:
    called(client, f"{web.url}/status/200")
    client.get(f"{web.url}/status/200")
    assert [len(received.trace) for received in web.received] == [1, 0]


@each_client
def test_an_unsampled_trace_goes_on_and_records_nothing(client: Client, web: Server) -> None:
    with capture(UNSAMPLED) as traces:
        with subsegment("handler"):
            assert client.get(f"{web.url}/status/200") == 200
            with pytest.raises(client.failures):
                client.get(f"http://127.0.0.1:{free_port()}/")
        assert len(traces) == 0
    assert web.last.trace == [UNSAMPLED]


@each_client
def test_no_secret_of_a_url_shows(client: Client, web: Server) -> None:
    """Nor in what the library says of a call that failed."""
    port = free_port()
    path, userinfo = "private?token=opensesame#swordfish", "" if client.library == "http.client" else "me:swordfish@"
    with capture() as traces:
        with subsegment("handler"):
            client.get(f"http://{userinfo}{web.name}/{path}")
            with pytest.raises(client.failures):
                client.get(f"http://{userinfo}127.0.0.1:{port}/{path}")
        answered, refused = traces.one.children
        assert answered.document["http"]["request"]["url"] == f"{web.url}/private"
        assert refused.document["http"]["request"]["url"] == f"http://127.0.0.1:{port}/private"
        assert not [secret for secret in SECRETS if secret in str(traces.documents)]
    assert "token=opensesame" in web.last.target


@each_client
def test_a_refused_connection_is_a_fault_and_the_librarys_own_exception_passes(client: Client) -> None:
    url = f"http://127.0.0.1:{free_port()}/"
    unpatch()
    with pytest.raises(client.failures) as untraced:
        client.get(url)
    patch_all()
    with capture() as traces:
        with subsegment("handler"), pytest.raises(client.failures) as traced:
            client.get(url)
        node = only_child(traces)
    assert type(traced.value) is type(untraced.value)
    assert node.flags == {"fault"}
    assert node.exceptions[0]["type"].rpartition(".")[2] == type(traced.value).__name__
    assert "response" not in node.document["http"]
    theirs = [entry.name for entry in untraced.traceback if "libraries/_" not in str(entry.path)]
    ours = [entry.name for entry in traced.traceback if "xray_lambda/libraries/" not in str(entry.path)]
    assert ours == theirs
    assert not [name for name in vars(traced.value) if "xray" in name]


@each_client
def test_a_name_that_is_unknown_is_a_fault(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with capture() as traces:
        with subsegment("handler"), pytest.raises(client.failures, match="Name or service not known"):
            client.get("http://nowhere.invalid/")
        node = only_child(traces)
    assert (node.name, node.flags) == ("nowhere.invalid", {"fault"})


@each_client
def test_a_time_out_is_a_fault(client: Client, web: Server) -> None:
    with capture() as traces:
        with subsegment("handler"), pytest.raises(client.timeout):
            client.get(f"{web.url}/gated", timeout=0.05)
        web.arrived.wait(20)  # or the server would meet it in the next test
        node = only_child(traces)
    assert node.flags == {"fault"}
    assert "response" not in node.document["http"]


@each_client
@pytest.mark.parametrize("path", ["close", "garbage"])
def test_an_answer_that_is_none_is_a_fault(client: Client, web: Server, path: str) -> None:
    with capture() as traces:
        with subsegment("handler"), pytest.raises(client.failures):
            client.get(f"{web.url}/{path}")
        node = only_child(traces)
    assert (node.flags, len(node.exceptions) > 0) == ({"fault"}, True)


@each_client
def test_tls_is_traced(client: Client, secure_web: Server) -> None:
    node = called(client, f"{secure_web.url}/status/200", trusted=secure_web.trusted)
    assert (node.name, node.document["http"]["request"]["url"]) == (secure_web.name, f"{secure_web.url}/status/200")
    assert secure_web.last.trace == [f"Root={ROOT};Parent={node.id};Sampled=1"]


@each_client
def test_a_certificate_that_nobody_vouches_for_is_a_fault(client: Client, secure_web: Server) -> None:
    with capture() as traces:
        with subsegment("handler"), pytest.raises((*client.failures, ssl.SSLError), match=r"(?i)certificate"):
            client.get(f"{secure_web.url}/status/200")
        node = only_child(traces)
    assert (node.flags, secure_web.received) == ({"fault"}, [])


@each_client
def test_through_a_proxy_the_subsegment_is_the_hosts_and_the_header_too(
    client: Client, web: Server, secure_web: Server, proxy: Server
) -> None:
    node = called(client, f"{web.url}/status/200?q=opensesame", proxy=proxy.url)
    assert (node.name, node.document["http"]["request"]["url"]) == (web.name, f"{web.url}/status/200")
    assert web.last.trace == proxy.last.trace == [f"Root={ROOT};Parent={node.id};Sampled=1"]
    node = called(client, f"{secure_web.url}/status/200", proxy=proxy.url, trusted=secure_web.trusted)
    assert node.name == secure_web.name
    assert secure_web.last.trace == [f"Root={ROOT};Parent={node.id};Sampled=1"]
    assert (proxy.last.method, proxy.last.trace) == ("CONNECT", [])


@each_client
def test_an_answer_that_was_traced_is_marked_where_it_was_in_this_trace(client: Client, web: Server) -> None:
    assert called(client, f"{web.url}/traced").document["http"]["request"]["traced"] is True
    assert "traced" not in called(client, f"{web.url}/foreign").document["http"]["request"]


@each_client
def test_w3c_headers_go_out_where_asked_for(client: Client, web: Server) -> None:
    with capture(propagate="w3c") as traces:
        with subsegment("handler"):
            client.get(f"{web.url}/status/200", {"Traceparent": "00-stale"})
        node = only_child(traces)
    parent = f"00-{ROOT[2:].replace('-', '')}-{node.id}-01"
    assert (web.last.all("traceparent"), web.last.trace) == ([parent], [])


@each_client
def test_an_ignored_call_leaves_no_subsegment_and_no_header(client: Client, web: Server) -> None:
    """Nor do the calls that it makes in turn."""
    for ignored in (web.name, "127.0.0.1", f"{web.url}/stat*", lambda name, url: url.endswith("/200")):
        for header in (HEADER, UNSAMPLED):
            with capture(header, ignore_calls=ignored) as traces:
                with subsegment("handler"):
                    client.get(f"{web.url}/status/200?secret=1")
                assert [root.children for root in traces.roots] == [[]] * (header is HEADER)
            assert web.last.trace == []


@each_client
def test_the_header_goes_to_the_allowed_hosts_alone(client: Client, web: Server) -> None:
    for allowed, expected in ((web.name, 1), ("*.example.com", 0), ("", 0), (lambda name, url: "status" in url, 1)):
        for header in (HEADER, UNSAMPLED):
            with capture(header, inject_to=allowed) as traces:
                with subsegment("handler"):
                    client.get(f"{web.url}/status/200")
                assert [len(root.children) for root in traces.roots] == [1] * (header is HEADER)
            assert len(web.last.trace) == expected


@each_streaming
def test_redirects_are_part_of_the_call(client: Client, web: Server) -> None:
    target = quote(f"{web.url}/status/404")
    node = called(client, f"{web.url}/redirect/302?{target}")
    assert node.document["http"] == {
        "request": {"method": "GET", "url": f"{web.url}/redirect/302"},
        "response": {"status": 404, "content_length": 5},
    }
    assert [received.trace for received in web.received] == [[f"Root={ROOT};Parent={node.id};Sampled=1"]] * 2


@each_streaming
@pytest.mark.parametrize("header", [HEADER, UNSAMPLED])
def test_a_redirect_takes_the_header_to_allowed_hosts_alone(client: Client, web: Server, header: str) -> None:
    elsewhere = f"http://localhost:{web.server_port}"
    with capture(header, inject_to="127.0.0.1"), subsegment("handler"):
        client.get(f"{web.url}/redirect/302?{elsewhere}/status/200")
        client.get(f"{elsewhere}/redirect/302?{web.url}/status/200")
    assert [len(received.trace) for received in web.received] == [1, 0, 0, 1]


@each_streaming
@pytest.mark.parametrize("read_all", [True, False])
def test_a_call_lasts_until_its_answer_is_read_or_closed(client: Client, web: Server, read_all: bool) -> None:
    """Meanwhile other work is no part of it."""
    counts: list[int] = []

    def between() -> None:
        counts.append(len(traces))
        with subsegment("between"):
            web.gate.set()

    with capture() as traces:
        client.stream(f"{web.url}/streamed", between, read_all=read_all)
        assert [root.name for root in traces.roots] == [web.name, *["between"] * (1 + read_all)]
        assert traces.roots[0].document["http"]["response"] == {"status": 200}
        assert traces.roots[0].flags == set()
    assert counts == ([0, 2] if read_all else [0])  # by the time all is read it is there


@each_client
def test_a_body_that_is_cut_off_is_a_fault(client: Client, web: Server) -> None:
    if isinstance(client, HttpClient):
        pytest.skip("its subsegment ends with the headers")
    with capture() as traces:
        with subsegment("handler"), pytest.raises(client.failures):
            client.get(f"{web.url}/cut")
        node = only_child(traces)
    assert (node.flags, len(node.exceptions) > 0) == ({"fault"}, True)


@each_streaming
def test_a_streamed_body_that_is_cut_off_is_a_fault(client: Client, web: Server) -> None:
    with capture() as traces:
        with pytest.raises(client.failures):
            client.stream(f"{web.url}/cut", lambda: None)
        assert (traces.one.flags, len(traces.one.exceptions) > 0) == ({"fault"}, True)


@each_client
def test_calls_at_the_same_time_are_told_apart(client: Client, web: Server) -> None:
    with capture() as traces:
        with subsegment("handler"):
            if isinstance(client, AsyncClient):
                client.get_all([f"{web.url}/echo/{number}" for number in range(5)])
            else:
                threads = [threading.Thread(target=client.get, args=(f"{web.url}/echo/{n}",)) for n in range(5)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
        sent = {
            child.document["http"]["request"]["url"]: [f"Root={ROOT};Parent={child.id};Sampled=1"]
            for child in traces.one.children
        }
    assert {f"{web.url}{received.target}": received.trace for received in web.received} == sent
    assert len(sent) == 5


@each_client
def test_a_library_traced_alone_records_and_carries_on(client: Client, web: Server) -> None:
    unpatch()
    patch(client.library)
    for header in (HEADER, UNSAMPLED):
        with capture(header) as traces:
            with subsegment("handler"):
                client.get(f"{web.url}/status/200")
            assert [len(root.children) for root in traces.roots] == [1] * (header is HEADER)
        assert len(web.last.trace) == 1


@each_client
def test_what_a_library_is_built_upon_is_traced_alone_too(client: Client, web: Server) -> None:
    unpatch()
    patch("http.client")
    with capture() as traces:
        with subsegment("handler"):
            client.get(f"{web.url}/status/200")
        found = len(traces.one.children)
    assert found == len(web.last.trace) == (client.library in ("http.client", "urllib3", "requests"))


def replaced() -> dict[str, object]:
    """Return what stands in the place of each function that a card may replace."""
    from xray_lambda.libraries import _loaded_card
    from xray_lambda.libraries._patching import raw_attribute
    from xray_lambda.libraries._targets import Patch, patches_of

    found = {}
    for name in ("requests", "httpx", "aiohttp", "urllib3", "http.client"):
        for part in patches_of(_loaded_card(name)):
            for target in part.targets if isinstance(part, Patch) else ():
                owner, attribute = target.find(sys.modules[target.module])  # type: ignore[misc]
                found[f"{target.module}:{target.path}"] = raw_attribute(owner, attribute)
    return found


def test_unpatching_puts_back_what_was_there_and_patching_twice_is_patching_once(web: Server) -> None:
    unpatch()
    before = replaced()
    patch_all()
    for client in CLIENTS:  # some cards are put on when the library is first called
        called(client, f"{web.url}/status/200")
    once = replaced()
    assert not [name for name in before if before[name] is once[name]]
    patch_all()
    assert replaced() == once
    unpatch()
    assert replaced() == before


def test_what_two_libraries_share_stays_as_long_as_one_of_them_is_traced(web: Server) -> None:
    called(Urllib3(), f"{web.url}/status/200")
    unpatch("urllib3", "http.client")
    assert called(Requests(), f"{web.url}/status/200").name == web.name
    assert len(web.last.trace) == 1
    unpatch("requests")
    patch("urllib3")
    assert called(Requests(), f"{web.url}/status/200").name == web.name


def test_the_table_names_the_modules_of_the_cards() -> None:
    from xray_lambda.libraries import _loaded_card
    from xray_lambda.libraries._targets import patches_of

    for name in ("requests", "httpx", "aiohttp", "urllib3", "http.client"):
        wanted = set().union(*(part.modules for part in patches_of(_loaded_card(name))))
        assert wanted == set(SUPPORTED[name].modules)


@pytest.mark.parametrize("library", ["requests", "httpx", "aiohttp", "urllib3", "http.client"])
def test_patching_imports_nothing_and_traces_what_is_imported_afterwards(library: str, web: Server) -> None:
    program = f"""
import sys
from xray_lambda import patch, subsegment
from xray_lambda.testing import capture
before = set(sys.modules)
patch({library!r})
assert not [name for name in sys.modules if name.startswith({library!r})], "patching has imported it"
from tests.libraries.http_clients import CLIENTS
client = next(client for client in CLIENTS if client.library == {library!r})
with capture() as traces, subsegment("handler"):
    client.get("{web.url}/status/200")
print(traces)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (f"handler\n  {web.name}\n", "")


def test_a_function_imported_before_is_traced(web: Server) -> None:
    unpatch()
    get = requests.get
    patch("requests")
    with capture() as traces:
        get(f"{web.url}/status/200", timeout=1)
        assert traces.one.name == web.name


def test_the_alike_are_all_clients() -> None:
    assert {client.library for client in CLIENTS} == {"requests", "httpx", "aiohttp", "urllib3", "http.client"}
    assert Aiohttp().library == "aiohttp"
