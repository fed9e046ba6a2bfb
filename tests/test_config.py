"""Settings: where each one comes from, and what is said of one that makes no sense."""

from __future__ import annotations

from typing import Any

import pytest

from xray_lambda._config import HOSTS, SETTINGS, DaemonAddress, check_names, load, parse_address

# Each setting: its variable, what the variable may say and what that means, what an argument may say and what that
# means, the default.
ROWS: dict[str, tuple[str | None, str, object, object, object, object]] = {
    "enabled": ("AWS_XRAY_SDK_ENABLED", "false", False, "off", False, True),
    "daemon_address": (
        "AWS_XRAY_DAEMON_ADDRESS", "10.0.0.1:2001", "10.0.0.1:2001", "[::1]:2002", "[::1]:2002", "127.0.0.1:2000",
    ),
    "emitter": ("XRAY_LAMBDA_EMITTER", " Direct ", "direct", "auto", "auto", "udp"),
    "exit_seconds": ("XRAY_LAMBDA_EXIT_SECONDS", "10", 10, 0, 0, 2),
    "service": ("AWS_XRAY_TRACING_NAME", " shop ", "shop", "desk", "desk", None),
    "service_version": ("XRAY_LAMBDA_SERVICE_VERSION", "1.2-rc1", "1.2-rc1", "v3", "v3", None),
    "host": ("XRAY_LAMBDA_HOST", " EC2, ecs", ("ecs", "ec2"), "none", (), HOSTS),
    "log_groups": ("XRAY_LAMBDA_LOG_GROUPS", "/ecs/shop, audit", ("/ecs/shop", "audit"), ["a"], ("a",), ()),
    "context_missing": (
        "AWS_XRAY_CONTEXT_MISSING", "log_error", "LOG_ERROR", "RUNTIME_ERROR", "RUNTIME_ERROR", "IGNORE_ERROR",
    ),
    "propagate": ("XRAY_LAMBDA_PROPAGATE", "w3c, xray", ("w3c", "xray"), ["w3c"], ("w3c",), ("xray",)),
    "capture_response": ("XRAY_LAMBDA_CAPTURE_RESPONSE", "TRUE", True, True, True, False),
    "capture_event": ("XRAY_LAMBDA_CAPTURE_EVENT", "1", True, "yes", True, False),
    "ignore": (None, "", None, [KeyError, SystemExit], (KeyError, SystemExit), ()),
    "stack_frames": ("XRAY_LAMBDA_STACK_FRAMES", " 7 ", 7, 0, 0, 50),
    "metadata_bytes": ("XRAY_LAMBDA_METADATA_BYTES", "1000", 1000, 2000, 2000, 32_000),
    "stream_bytes": ("XRAY_LAMBDA_STREAM_BYTES", "0", 0, "9", 9, 48_000),
    "stream_seconds": ("XRAY_LAMBDA_STREAM_SECONDS", "60", 60, 0, 0, 10),
    "inject_to": (
        "XRAY_LAMBDA_INJECT_TO", "shop.test, *.in", ("shop.test", "*.in"), "shop.test", ("shop.test",), None,
    ),
    "ignore_calls": (
        "XRAY_LAMBDA_IGNORE_CALLS", "localhost:*,SQS.*", ("localhost:*", "SQS.*"), ["a", load], ("a", load), (),
    ),
    "ignore_paths": (
        "XRAY_LAMBDA_IGNORE_PATHS", "/health*, /ready", ("/health*", "/ready"), ["/a,b"], ("/a,b",), (),
    ),
    "aws_parameters": (
        "XRAY_LAMBDA_AWS_PARAMETERS", "DynamoDB.Query.Limit, S3.*.Prefix=within",
        ("DynamoDB.Query.Limit", "S3.*.Prefix=within"), ["S3.*.keys(Delete)=gone"], ("S3.*.keys(Delete)=gone",), (),
    ),
    "patch": ("XRAY_LAMBDA_PATCH", "httpx, sqlite3", ("httpx", "sqlite3"), "none", (), ("all",)),
    "sampling": ("XRAY_LAMBDA_SAMPLING", " Local ", "local", "all", "all", "central"),
    "sampling_rules": (
        "XRAY_LAMBDA_SAMPLING_RULES", "rules.json", "rules.json", {"version": 2}, {"version": 2}, None,
    ),
    "early": ("XRAY_LAMBDA_EARLY", "on", True, 1, True, False),
    "strict": ("XRAY_LAMBDA_STRICT", "t", True, "y", True, False),
}  # fmt: skip
NAMES = pytest.mark.parametrize("name", ROWS)


def plain(value: object) -> object:
    return str(value) if isinstance(value, DaemonAddress) else value


def test_every_setting_is_tested_here() -> None:
    assert [row.name for row in SETTINGS] == list(ROWS)
    assert all(row.help for row in SETTINGS)


@NAMES
def test_a_default_stands_where_nothing_is_said(name: str) -> None:
    config = load({})
    assert plain(getattr(config, name)) == ROWS[name][5]
    assert config.sources[name] == "default"
    assert config.problems == []


@pytest.mark.parametrize("name", [name for name in ROWS if ROWS[name][0]])
def test_the_environment_wins_over_the_default(name: str) -> None:
    variable, said, meant = ROWS[name][:3]
    config = load({str(variable): said})
    assert plain(getattr(config, name)) == meant
    assert config.sources[name] == variable
    assert config.problems == []


@NAMES
def test_an_argument_wins_over_the_environment(name: str) -> None:
    variable, said, _, argument, meant, _ = ROWS[name]
    config = load({} if variable is None else {variable: said}, **{name: argument})
    assert plain(getattr(config, name)) == meant
    assert config.sources[name] == "argument"
    assert config.problems == []


@pytest.mark.parametrize("name", [name for name in ROWS if ROWS[name][0]])
@pytest.mark.parametrize("text", ["", "  ", "\t"])
def test_an_empty_variable_says_nothing(name: str, text: str) -> None:
    config = load({str(ROWS[name][0]): text})
    assert plain(getattr(config, name)) == ROWS[name][5]
    assert (config.sources[name], config.problems) == ("default", [])


def test_the_first_variable_of_a_setting_counts() -> None:
    environ = {"POWERTOOLS_SERVICE_NAME": "two"}
    assert (load(environ).service, load(environ).sources["service"]) == ("two", "POWERTOOLS_SERVICE_NAME")
    environ["AWS_XRAY_TRACING_NAME"] = "one"
    assert (load(environ).service, load(environ).sources["service"]) == ("one", "AWS_XRAY_TRACING_NAME")


BAD = {
    "AWS_XRAY_SDK_ENABLED": ("enabled", "perhaps", "expected true or false"),
    "AWS_XRAY_DAEMON_ADDRESS": ("daemon_address", "nowhere", "expected host:port with a port from 1 to 65535"),
    "XRAY_LAMBDA_EMITTER": ("emitter", "tcp", "expected udp, direct or auto"),
    "XRAY_LAMBDA_EXIT_SECONDS": ("exit_seconds", "2.5", "expected a whole number, 0 or more"),
    "XRAY_LAMBDA_HOST": ("host", "ec2,moon", "expected auto, none, or of elastic_beanstalk, eks, ecs, ec2"),
    "XRAY_LAMBDA_STREAM_SECONDS": ("stream_seconds", "10s", "expected a whole number, 0 or more"),
    "AWS_XRAY_CONTEXT_MISSING": (
        "context_missing", "PANIC", "expected IGNORE_ERROR, LOG_ERROR or RUNTIME_ERROR",
    ),
    "XRAY_LAMBDA_PROPAGATE": ("propagate", "b3", "expected xray, w3c, or both with a comma between"),
    "XRAY_LAMBDA_CAPTURE_RESPONSE": ("capture_response", "2", "expected true or false"),
    "XRAY_LAMBDA_CAPTURE_EVENT": ("capture_event", "some", "expected true or false"),
    "XRAY_LAMBDA_STACK_FRAMES": ("stack_frames", "-1", "expected a whole number, 0 or more"),
    "XRAY_LAMBDA_METADATA_BYTES": ("metadata_bytes", "1e3", "expected a whole number, 0 or more"),
    "XRAY_LAMBDA_STREAM_BYTES": ("stream_bytes", "64k", "expected a whole number, 0 or more"),
    "XRAY_LAMBDA_AWS_PARAMETERS": (
        "aws_parameters", "DynamoDB.Limit",
        "expected Service.Operation.Member, such as DynamoDB.Query.Limit or S3.*.Prefix",
    ),
    "XRAY_LAMBDA_SAMPLING": ("sampling", "some", "expected central, local, all or none"),
    "XRAY_LAMBDA_EARLY": ("early", "late", "expected true or false"),
    "XRAY_LAMBDA_STRICT": ("strict", "very", "expected true or false"),
}  # fmt: skip


@pytest.mark.parametrize("variable", BAD)
def test_a_variable_that_makes_no_sense_is_a_problem_that_names_it_and_the_default_stands(variable: str) -> None:
    name, text, why = BAD[variable]
    config = load({variable: text})
    assert config.problems == [f"{variable}={text!r} is ignored: {why}"]
    assert plain(getattr(config, name)) == ROWS[name][5]
    assert config.sources[name] == "default"


def test_a_problem_shows_only_the_beginning_of_a_long_value() -> None:
    [problem] = load({"XRAY_LAMBDA_STRICT": "x" * 100_000}).problems
    assert len(problem) < 200


@pytest.mark.parametrize("variable", [variable for variable in BAD if BAD[variable][0] != "strict"])
def test_one_bad_variable_leaves_the_others_as_they_are(variable: str) -> None:
    config = load({variable: BAD[variable][1], "XRAY_LAMBDA_STRICT": "1"})
    assert (config.strict, len(config.problems)) == (True, 1)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("enabled", None, "enabled=None: expected true or false"),
        ("daemon_address", "", "daemon_address='': expected host:port, or tcp:host:port udp:host:port"),
        ("service", 17, "service=17: expected a text"),
        ("context_missing", "", "context_missing='': expected IGNORE_ERROR, LOG_ERROR or RUNTIME_ERROR"),
        ("propagate", "", "propagate='': expected xray, w3c, or both with a comma between"),
        ("propagate", (), "propagate=(): expected xray, w3c, or both with a comma between"),
        ("propagate", None, "propagate=None: expected xray, w3c, or both with a comma between"),
        ("propagate", "xray,", "propagate='xray,': expected xray, w3c, or both with a comma between"),
        ("inject_to", 7, "inject_to=7: expected hosts, URLs, Service.Operation, or functions of (name, what)"),
        (
            "ignore_calls",
            [7],
            "ignore_calls=[7]: expected hosts, URLs, Service.Operation, or functions of (name, what)",
        ),
        ("patch", True, "patch=True: expected all, none, or names of libraries with commas between"),
        ("patch", ["x", 1], "patch=['x', 1]: expected all, none, or names of libraries with commas between"),
        ("sampling", False, "sampling=False: expected central, local, all or none"),
        ("sampling_rules", 7, "sampling_rules=7: expected the path of a JSON file, or a dict"),
        ("sampling_rules", b"x", "sampling_rules=b'x': expected the path of a JSON file, or a dict"),
        ("sampling_rules", " ", "sampling_rules=' ': expected the path of a JSON file, or a dict"),
        ("ignore", "KeyError", "ignore='KeyError': expected exception classes"),
        ("ignore", (KeyError, int), "ignore=(<class 'KeyError'>, <class 'int'>): expected exception classes"),
        ("ignore", KeyError("x"), "ignore=KeyError('x'): expected exception classes"),
        ("stack_frames", -1, "stack_frames=-1: expected a whole number, 0 or more"),
        ("metadata_bytes", -32_000, "metadata_bytes=-32000: expected a whole number, 0 or more"),
        ("stream_bytes", -1, "stream_bytes=-1: expected a whole number, 0 or more"),
        ("stack_frames", 1.5, "stack_frames=1.5: expected a whole number"),
        ("stack_frames", True, "stack_frames=True: expected a whole number"),
        ("stack_frames", None, "stack_frames=None: expected a whole number"),
        ("stack_frames", "٣", "stack_frames='٣': expected a whole number, 0 or more"),
    ],
)
def test_an_argument_that_makes_no_sense_is_an_error_that_names_it(name: str, value: object, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        load({}, **{name: value})
    assert str(caught.value) == message


def test_an_error_shows_only_the_beginning_of_a_long_value() -> None:
    with pytest.raises(ValueError, match=r"^strict='x{90,}.*: expected true or false$") as caught:
        load({}, strict="x" * 100_000)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("name", ["frames", "environ", "Service", "self"])
def test_an_argument_that_is_no_setting_is_an_error_that_names_those_that_are(name: str) -> None:
    expected = f"there is no setting {name!r}; the settings are {', '.join(ROWS)}"
    arguments: dict[str, Any] = {name: 1}
    with pytest.raises(TypeError) as caught:
        load({}, **arguments)
    assert str(caught.value) == expected
    with pytest.raises(TypeError) as caught:
        check_names(arguments)
    assert str(caught.value) == expected


@pytest.mark.parametrize("text", ["1", "true", "True", " YES ", "on", "y", "T"])
def test_yes_is_said_in_many_ways(text: str) -> None:
    assert load({"XRAY_LAMBDA_STRICT": text}).strict is True


@pytest.mark.parametrize("text", ["0", "false", "False", " NO ", "off", "n", "F"])
def test_no_is_said_in_many_ways(text: str) -> None:
    assert load({"AWS_XRAY_SDK_ENABLED": text}).enabled is False


def test_one_exception_class_may_stand_alone() -> None:
    assert load({}, ignore=KeyError).ignore == (KeyError,)


@pytest.mark.parametrize(
    ("text", "udp", "tcp", "written"),
    [
        ("127.0.0.1:2000", ("127.0.0.1", 2000), ("127.0.0.1", 2000), "127.0.0.1:2000"),
        (" xray-daemon:65535 ", ("xray-daemon", 65535), ("xray-daemon", 65535), "xray-daemon:65535"),
        ("[::1]:2000", ("::1", 2000), ("::1", 2000), "[::1]:2000"),
        ("::1:2000", ("::1", 2000), ("::1", 2000), "[::1]:2000"),
        ("[fe80::1%eth0]:2000", ("fe80::1%eth0", 2000), ("fe80::1%eth0", 2000), "[fe80::1%eth0]:2000"),
        ("::ffff:10.0.0.1:2000", ("::ffff:10.0.0.1", 2000), ("::ffff:10.0.0.1", 2000), "[::ffff:10.0.0.1]:2000"),
        ("tcp:a:1 udp:b:2", ("b", 2), ("a", 1), "tcp:a:1 udp:b:2"),
        ("udp:b:2   tcp:a:1", ("b", 2), ("a", 1), "tcp:a:1 udp:b:2"),
        ("UDP:b:2 Tcp:a:1", ("b", 2), ("a", 1), "tcp:a:1 udp:b:2"),
        ("tcp:a:1 udp:a:1", ("a", 1), ("a", 1), "a:1"),
        ("tcp:[::1]:1 udp:[::2]:2", ("::2", 2), ("::1", 1), "tcp:[::1]:1 udp:[::2]:2"),
    ],
)
def test_an_address_is_read_in_every_form(text: str, udp: object, tcp: object, written: str) -> None:
    address = parse_address(text)
    assert (address.host, address.port) == udp
    assert (address.tcp_host, address.tcp_port) == tcp
    assert str(address) == written
    assert str(parse_address(str(address))) == written
    assert parse_address(address) is address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "host",
        "host:",
        ":2000",
        "[]:2000",
        "host:0",
        "host:65536",
        "host:2000x",
        "host:-1",
        "host:٣",
        "host:" + "9" * 5000,
        "tcp:host:2000",
        "udp:127.0.0.1:2000",
        "http://host:2000",
        "a:1 b:2",
        "tcp:a:1 tcp:b:2",
        "tcp:a:1 udp:b:2 udp:c:3",
        "tcp:a:1 udp:b",
        "tcp:a udp:b",
        None,
        2000,
    ],
)
def test_what_is_no_address_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="expected host:port"):
        parse_address(text)
