"""`xray-lambda view`: puts the viewer together from its arguments, says where it is, and runs it."""

from __future__ import annotations

import contextlib
import logging
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xray_lambda.cli.browser import open_page
from xray_lambda.cli.console import Problem, printable
from xray_lambda.cli.stores import open_store
from xray_lambda.viewer import api, client, control, doors, forward, screen
from xray_lambda.viewer.daemon import Daemon
from xray_lambda.viewer.doors import PortTaken
from xray_lambda.viewer.ingest import Keep
from xray_lambda.viewer.rules import RulesError
from xray_lambda.viewer.sampling import Sampling
from xray_lambda.viewer.serve import Viewer

if TYPE_CHECKING:
    import argparse

    from xray_lambda.viewer.doors import Doors
    from xray_lambda.viewer.forward import Sender
    from xray_lambda.viewer.store import Store


def run(arguments: argparse.Namespace) -> int:
    """Run until Ctrl-C or SIGTERM."""
    log_to(sys.stderr)
    senders = [(name, _sender(name)) for name in arguments.forward]
    host = arguments.host
    opened = open_doors(host, arguments.port, arguments.screen_port)
    with contextlib.ExitStack() as unfinished:
        unfinished.callback(opened.close)
        store = open_store(arguments)
        viewer = Viewer(store, about=_about(host, opened))
        viewer.rules = _rules(arguments, store)
        forwarders = [forward.Forwarder(name, send, _told(viewer)) for name, send in senders]
        viewer.forwards = forwarders
        daemon = Daemon(
            viewer,
            opened,
            api=[*control.routes(viewer), *api.routes(viewer)],
            screen=screen.routes(viewer),
            keep=Keep(arguments.keep_days, arguments.keep_mb),
            forwarders=forwarders,
            names=[host, socket.gethostname(), *arguments.allow_host],
            open_to_others=not doors.is_loopback(host),
        )
        unfinished.pop_all()
    daemon.run(lambda: _started(arguments, opened, store))
    print("The viewer has ended; what had arrived is stored." if store.path else "The viewer has ended.")
    return 0


def _rules(arguments: argparse.Namespace, store: Store) -> Sampling:
    """Open the sampling rules: the file that was named, else one beside the store. Raises Problem."""
    beside = None if store.path is None else store.path.with_name("rules.json")
    try:
        return Sampling(Path(arguments.rules) if arguments.rules else beside)
    except RulesError as fault:
        raise Problem(f"the sampling rules {arguments.rules or beside} cannot be used: {fault}") from None


def open_doors(host: str, port: int, screen_port: int | None) -> Doors:
    """Open the ports. Raises Problem that says who has one, and what to do."""
    try:
        return doors.open_doors(host, port, screen_port)
    except PortTaken as taken:
        raise Problem(f"{taken}.{_advice(taken, host, port)}") from None


def _advice(taken: PortTaken, host: str, port: int) -> str:
    other = client.ask(host, port)
    if other is not None and taken.port == port:
        return f" That is a viewer already: its screen is {printable(other.get('screen'))}"
    if taken.port == port:
        return " End it, or choose another with --port, and say so in AWS_XRAY_DAEMON_ADDRESS."
    return " End it, or choose another with --screen-port."


def _about(host: str, opened: Doors) -> dict[str, Any]:
    return {"host": host, "port": opened.port, "screen": opened.screen_address}


def _started(arguments: argparse.Namespace, opened: Doors, store: Store) -> None:
    address, port = opened.screen_address, opened.port
    host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    where = (
        f"{store.path}, at most {arguments.keep_mb:g} MB and {arguments.keep_days:g} days" if store.path else "memory"
    )
    if not doors.is_loopback(arguments.host):
        print(
            f"Warning: whoever reaches {arguments.host} can read these traces and send others: there is no password.",
            file=sys.stderr,
        )
    print(f"Screen   {address}")
    print(f"Daemon   {host}:{port} (UDP and TCP); programs find it by AWS_XRAY_DAEMON_ADDRESS={reachable(opened)}")
    print(f"Store    {where}")
    for name in arguments.forward:
        print(f"Forward  {name}")
    print("Ctrl-C ends it.", flush=True)
    if arguments.open and address is not None:
        open_page(address)


def reachable(opened: Doors) -> str:
    """Return the daemon's address for programs on this machine."""
    return doors.url(*opened.api.getsockname()[:2]).removeprefix("http://").rstrip("/")


def _told(viewer: Viewer) -> forward.Told:
    return forward.Told(viewer.count, viewer.complain)


def _sender(name: str) -> Sender:
    """Make what `--forward NAME` means. Raises Problem."""
    if name == "xray":
        return forward.xray(xray_client())
    host, colon, port = name.removeprefix("udp://").rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit() and 0 < int(port[:9]) <= 65_535):
        raise Problem(f"--forward {name!r} is neither xray nor HOST:PORT of another daemon")
    try:
        return forward.daemon_at((host.strip("[]"), int(port)))
    except OSError as fault:
        raise Problem(f"--forward {name!r} is not to be found: {fault}") from None


def xray_client(region: str | None = None, profile: str | None = None, endpoint: str | None = None) -> Any:
    """Return a client of AWS X-Ray with the account that botocore finds. Raises Problem."""
    import botocore.exceptions  # noqa: PLC0415 - half a second, for those who want it
    import botocore.session  # noqa: PLC0415 - the same

    try:
        session = botocore.session.Session(profile=profile)
        if session.get_credentials() is None:
            raise Problem("no AWS credentials were found: run  aws configure  or set AWS_PROFILE")
        return session.create_client("xray", region_name=region, endpoint_url=endpoint)
    except botocore.exceptions.BotoCoreError as fault:
        raise Problem(f"AWS X-Ray cannot be asked: {fault}") from None


def log_to(stream: Any) -> None:
    """Let the viewer's log show, with the time; a rejected document is a line there."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_OneLine("%(asctime)s %(message)s", "%H:%M:%S"))
    log = logging.getLogger("xray_lambda.viewer")
    log.handlers[:] = [handler]
    log.propagate = False


class _OneLine(logging.Formatter):
    """Keeps what came over the network from steering the terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the line."""
        record.message = printable(record.message, 500)
        return super().formatMessage(record)
