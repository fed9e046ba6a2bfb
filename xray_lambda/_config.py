"""Settings: one row each; an argument wins over the environment, the environment over the default."""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    CallFilter = str | Callable[[str, str], bool]

_YES = frozenset(("1", "true", "yes", "on", "y", "t"))
_NO = frozenset(("0", "false", "no", "off", "n", "f"))
_IPV6 = frozenset("0123456789abcdefABCDEF:.")


class DaemonAddress:
    """Where the daemon listens: UDP for documents (`host`, `port`), TCP for sampling rules."""

    __slots__ = ("host", "port", "tcp_host", "tcp_port")

    def __init__(self, host: str, port: int, tcp_host: str, tcp_port: int) -> None:
        self.host = host
        self.port = port
        self.tcp_host = tcp_host
        self.tcp_port = tcp_port

    def __str__(self) -> str:
        udp, tcp = _join(self.host, self.port), _join(self.tcp_host, self.tcp_port)
        return udp if udp == tcp else f"tcp:{tcp} udp:{udp}"


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_address(value: object) -> DaemonAddress:
    """Read `host:port`, `[ipv6]:port`, or both of `tcp:host:port udp:host:port` in either order."""
    if isinstance(value, DaemonAddress):
        return value
    parts = str(value).split()
    if len(parts) == 1:
        host, port = _endpoint(parts[0])
        return DaemonAddress(host, port, host, port)
    ends = {part.partition(":")[0].lower(): part.partition(":")[2] for part in parts}
    if len(parts) != 2 or set(ends) != {"tcp", "udp"}:
        raise ValueError("expected host:port, or tcp:host:port udp:host:port")
    return DaemonAddress(*_endpoint(ends["udp"]), *_endpoint(ends["tcp"]))


def _endpoint(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536):
        raise ValueError("expected host:port with a port from 1 to 65535")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host and not set(host) <= _IPV6:
        raise ValueError("expected host:port, or tcp:host:port udp:host:port")
    if not host:
        raise ValueError("expected host:port, and there is no host")
    return host, int(port)


def parse_flag(value: object) -> bool:
    """Read a bool, or one of 1, true, yes, on, 0, false, no, off in any case."""
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in _YES:
        return True
    if text in _NO:
        return False
    raise ValueError("expected true or false")


def parse_count(value: object) -> int:
    """Read a whole number that is not negative."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError("expected a whole number")
    text = str(value).strip()
    if not (text.isascii() and text.isdigit()):
        raise ValueError("expected a whole number, 0 or more")
    return int(text)


def parse_text(value: object) -> str | None:
    """Read a text; an empty one counts as none."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError("expected a text")
    return value.strip() or None


def parse_context_missing(value: object) -> str:
    """Read what happens where no segment is open; the peer's three words."""
    text = str(value).strip().upper()
    if text not in ("IGNORE_ERROR", "LOG_ERROR", "RUNTIME_ERROR"):
        raise ValueError("expected IGNORE_ERROR, LOG_ERROR or RUNTIME_ERROR")
    return text


def parse_propagate(value: object) -> tuple[str, ...]:
    """Read which trace headers go downstream: xray, w3c, or both."""
    words = value.split(",") if isinstance(value, str) else value
    if not isinstance(words, (list, tuple)):
        raise ValueError("expected xray, w3c, or both with a comma between")
    names = tuple(str(word).strip().lower() for word in words)
    if not names or not set(names) <= {"xray", "w3c"}:
        raise ValueError("expected xray, w3c, or both with a comma between")
    return names


def parse_ignore(value: object) -> tuple[type[BaseException], ...]:
    """Read the exception classes that are no faults."""
    classes = value if isinstance(value, (tuple, list)) else (value,)
    if not all(isinstance(one, type) and issubclass(one, BaseException) for one in classes):
        raise ValueError("expected exception classes")
    return tuple(classes)


def parse_filters(value: object) -> tuple[CallFilter, ...]:
    """Read which calls: texts with `*` for hosts, URLs or `Service.Operation`, or functions of name and URL."""
    if isinstance(value, str):
        value = tuple(part.strip() for part in value.split(","))
    filters = value if isinstance(value, (tuple, list, set, frozenset)) else (value,)
    if not all(isinstance(one, str) or callable(one) for one in filters):
        raise ValueError("expected hosts, URLs, Service.Operation, or functions of (name, what)")
    return tuple(one for one in filters if one)


def parse_filters_or_all(value: object) -> tuple[CallFilter, ...] | None:
    """Read which hosts, as `parse_filters` does; None is all of them."""
    return None if value is None else parse_filters(value)


def parse_texts(value: object) -> tuple[str, ...]:
    """Read a list of texts, or one text with commas between."""
    texts = value.split(",") if isinstance(value, str) else value
    if not isinstance(texts, (tuple, list)) or not all(isinstance(one, str) for one in texts):
        raise ValueError("expected texts, with commas between in the environment")
    return tuple(one.strip() for one in texts if one.strip())


def parse_aws_parameters(value: object) -> tuple[str, ...]:
    """Read what to record of AWS calls: a list of Service.Operation.Member, `=name` behind it if need be."""
    rows = value.split(",") if isinstance(value, str) else value
    if not isinstance(rows, (tuple, list)) or not all(isinstance(row, str) and _is_row(row) for row in rows):
        raise ValueError("expected Service.Operation.Member, such as DynamoDB.Query.Limit or S3.*.Prefix")
    return tuple(row.strip() for row in rows)


def _is_row(text: str) -> bool:
    parts = text.split(".", 2)
    return len(parts) == 3 and all(part.strip() for part in parts)


def parse_libraries(value: object) -> tuple[str, ...]:
    """Read names of libraries: all, none, or a list with commas."""
    words = value.split(",") if isinstance(value, str) else value
    if not isinstance(words, (tuple, list)) or not all(isinstance(word, str) for word in words):
        raise ValueError("expected all, none, or names of libraries with commas between")
    names = tuple(word.strip() for word in words if word.strip())
    return () if names == ("none",) else names


def parse_sampling(value: object) -> str:
    """Read who decides which traces that begin here are recorded."""
    word = value.strip().lower() if isinstance(value, str) else None
    if word not in ("central", "local", "all", "none"):
        raise ValueError("expected central, local, all or none")
    return word


def parse_sampling_rules(value: object) -> str | dict[str, object] | None:
    """Read the path of a file of local sampling rules, or take the rules themselves; see sampling/local_rules."""
    if value is None or isinstance(value, dict):
        return value
    path = value.__fspath__() if hasattr(value, "__fspath__") else value
    if not isinstance(path, str) or not path.strip():
        raise ValueError("expected the path of a JSON file, or a dict")
    return path.strip()


def parse_emitter(value: object) -> str:
    """Read how documents go to X-Ray."""
    word = value.strip().lower() if isinstance(value, str) else None
    if word not in ("udp", "direct", "auto"):
        raise ValueError("expected udp, direct or auto")
    return word


# Where a program may run, the most specific place first: what `origin` says where several are found.
HOSTS = ("elastic_beanstalk", "eks", "ecs", "ec2")


def parse_host(value: object) -> tuple[str, ...]:
    """Read which kinds of host to look for: auto (all), none, or a list."""
    words = value.split(",") if isinstance(value, str) else value
    names = [one.strip().lower() for one in words if isinstance(one, str)] if isinstance(words, (tuple, list)) else [""]
    if names in (["auto"], ["none"]):
        return HOSTS if names == ["auto"] else ()
    if not set(names) <= set(HOSTS):
        raise ValueError(f"expected auto, none, or of {', '.join(HOSTS)}")
    return tuple(name for name in HOSTS if name in names)


class Setting:
    """One row: its name, the environment variables that set it (the first one set counts) and its default."""

    __slots__ = ("default", "env", "help", "name", "parse")

    def __init__(
        self, name: str, env: tuple[str, ...], parse: Callable[[object], object], default: object, text: str
    ) -> None:
        self.name = name
        self.env = env
        self.parse = parse
        self.default = default
        self.help = text


SETTINGS = (
    Setting("enabled", ("AWS_XRAY_SDK_ENABLED",), parse_flag, True,
            "false: record nothing, but pass the trace header on"),
    Setting("daemon_address", ("AWS_XRAY_DAEMON_ADDRESS",), parse_address, "127.0.0.1:2000",
            "where the X-Ray daemon listens"),
    Setting("emitter", ("XRAY_LAMBDA_EMITTER",), parse_emitter, "udp",
            "how documents go to X-Ray: udp to the daemon, direct, or auto; Lambda's go to its daemon"),
    Setting("exit_seconds", ("XRAY_LAMBDA_EXIT_SECONDS",), parse_count, 2,
            "how long the end of a program waits for direct to send what is left"),
    Setting("service", ("AWS_XRAY_TRACING_NAME", "POWERTOOLS_SERVICE_NAME"), parse_text, None,
            "the service's name: annotation Service in Lambda, segment name elsewhere"),
    Setting("service_version", ("XRAY_LAMBDA_SERVICE_VERSION",), parse_text, None,
            "the version of the program, on each segment"),
    Setting("host", ("XRAY_LAMBDA_HOST",), parse_host, "auto",
            "hosts to look for outside Lambda: auto, none, or a list"),
    Setting("log_groups", ("XRAY_LAMBDA_LOG_GROUPS",), parse_texts, (),
            "CloudWatch log groups that segments link to, beside those that are found"),
    Setting("context_missing", ("AWS_XRAY_CONTEXT_MISSING",), parse_context_missing, "IGNORE_ERROR",
            "what a subsegment without a segment does outside Lambda"),
    Setting("propagate", ("XRAY_LAMBDA_PROPAGATE",), parse_propagate, ("xray",),
            "trace headers to send on: xray, w3c"),
    Setting("capture_response", ("XRAY_LAMBDA_CAPTURE_RESPONSE",), parse_flag, False,
            "record what the handler returns as metadata"),
    Setting("capture_event", ("XRAY_LAMBDA_CAPTURE_EVENT",), parse_flag, False,
            "record the handler's event as metadata"),
    Setting("ignore", (), parse_ignore, (),
            "exception classes that are no faults"),
    Setting("stack_frames", ("XRAY_LAMBDA_STACK_FRAMES",), parse_count, 50,
            "frames kept of an exception's stack, innermost first"),
    Setting("metadata_bytes", ("XRAY_LAMBDA_METADATA_BYTES",), parse_count, 32_000,
            "room for the metadata of one subsegment"),
    Setting("stream_bytes", ("XRAY_LAMBDA_STREAM_BYTES",), parse_count, 48_000,
            "finished children a parent may hold before the oldest are sent"),
    Setting("stream_seconds", ("XRAY_LAMBDA_STREAM_SECONDS",), parse_count, 10,
            "what is open for longer sends its finished children, and itself as in progress"),
    Setting("inject_to", ("XRAY_LAMBDA_INJECT_TO",), parse_filters_or_all, None,
            "hosts that are sent the trace header, all unless set; * stands for anything"),
    Setting("ignore_calls", ("XRAY_LAMBDA_IGNORE_CALLS",), parse_filters, (),
            "hosts, URLs or Service.Operation of calls left out of the trace"),
    Setting("ignore_paths", ("XRAY_LAMBDA_IGNORE_PATHS",), parse_texts, (),
            "paths of requests that a server's middleware leaves alone, /health*; * stands for anything"),
    Setting("aws_parameters", ("XRAY_LAMBDA_AWS_PARAMETERS",), parse_aws_parameters, (),
            "what to record of AWS calls beside the usual: Service.Operation.Member; * stands for anything"),
    Setting("patch", ("XRAY_LAMBDA_PATCH",), parse_libraries, ("all",),
            "libraries that the layer traces: all, none, or names"),
    Setting("sampling", ("XRAY_LAMBDA_SAMPLING",), parse_sampling, "central",
            "which traces that begin here are recorded, outside Lambda: by X-Ray's rules, local ones, all or none"),
    Setting("sampling_rules", ("XRAY_LAMBDA_SAMPLING_RULES",), parse_sampling_rules, None,
            "local sampling rules: a JSON file; they also stand in while X-Ray's cannot be had"),
    Setting("early", ("XRAY_LAMBDA_EARLY",), parse_flag, False,
            "send the handler when it starts, and children as they close: a timeout loses neither"),
    Setting("strict", ("XRAY_LAMBDA_STRICT",), parse_flag, False,
            "raise our own faults instead of swallowing them; for tests"),
)  # fmt: skip

_ROWS = {row.name: row for row in SETTINGS}


class Config:
    """The settings in force; `sources` says where each came from, `problems` what was wrong in the environment."""

    enabled: bool
    daemon_address: DaemonAddress
    emitter: str
    exit_seconds: int
    service: str | None
    service_version: str | None
    host: tuple[str, ...]
    log_groups: tuple[str, ...]
    context_missing: str
    propagate: tuple[str, ...]
    capture_response: bool
    capture_event: bool
    ignore: tuple[type[BaseException], ...]
    stack_frames: int
    metadata_bytes: int
    stream_bytes: int
    stream_seconds: int
    inject_to: tuple[CallFilter, ...] | None
    ignore_calls: tuple[CallFilter, ...]
    ignore_paths: tuple[str, ...]
    aws_parameters: tuple[str, ...]
    patch: tuple[str, ...]
    sampling: str
    sampling_rules: str | dict[str, object] | None
    early: bool
    strict: bool
    sources: dict[str, str]
    problems: list[str]

    __slots__ = (*_ROWS, "problems", "sources")


def load(environ: Mapping[str, str], /, **arguments: object) -> Config:
    """Settle every setting; an environment variable that makes no sense is a problem, not an error.

    Raises TypeError for an argument that is no setting, ValueError for one whose value makes no sense.
    Example: `load(os.environ, stack_frames=20).stack_frames == 20`.
    """
    config = Config()
    config.sources = {}
    config.problems = []
    check_names(arguments)
    for row in SETTINGS:
        value, config.sources[row.name] = _settle(row, environ, arguments, config.problems)
        setattr(config, row.name, value)
    return config


def check_names(arguments: Mapping[str, object]) -> None:
    """Raise TypeError for an argument that is no setting, naming those that are."""
    for name in arguments:
        if name not in _ROWS:
            raise TypeError(f"there is no setting {name!r}; the settings are {', '.join(_ROWS)}")


def _settle(
    row: Setting, environ: Mapping[str, str], arguments: Mapping[str, object], problems: list[str]
) -> tuple[object, str]:
    if row.name in arguments:
        return _argument(row, arguments[row.name]), "argument"
    for variable in row.env:
        text = environ.get(variable)
        if text is not None and text.strip():
            try:
                return row.parse(text), variable
            except ValueError as error:
                problems.append(f"{variable}={text[:100]!r} is ignored: {error}")
    return row.parse(row.default), "default"


def _argument(row: Setting, value: object) -> object:
    try:
        return row.parse(value)
    except ValueError as error:
        raise ValueError(f"{row.name}={value!r:.100}: {error}") from None
