"""HTTP clients, made alike: what holds for all of them is tested once, in test_requests_alike.py."""

from __future__ import annotations

import asyncio
import gc
import http.client
import ssl
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
import httpx
import requests
import urllib3

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PATIENCE = 20


class Client:
    """What all clients do: get something, read a body in parts, get several things at a time."""

    library: str
    timeout: type[Exception]
    failures: tuple[type[Exception], ...]

    def get(
        self, url: str, headers: Any = None, *, trusted: str = "", proxy: str = "", timeout: float = PATIENCE
    ) -> int:
        """Get a URL, read the answer and return its status."""
        raise NotImplementedError

    def stream(self, url: str, between: Callable[[], object], *, read_all: bool = True) -> None:
        """Read the first part of a body, do something, and read the rest or close the answer."""
        raise NotImplementedError

    def get_all(self, urls: list[str]) -> None:
        """Get several URLs, at the same time where the client is one for that."""
        for url in urls:
            self.get(url)


class Requests(Client):
    library = "requests"
    timeout = requests.ReadTimeout
    failures = (requests.RequestException,)

    def get(
        self, url: str, headers: Any = None, *, trusted: str = "", proxy: str = "", timeout: float = PATIENCE
    ) -> int:
        proxies = {"http": proxy, "https": proxy} if proxy else None
        with requests.Session() as session:
            return session.get(
                url, headers=headers, verify=trusted or True, proxies=proxies, timeout=timeout
            ).status_code

    def stream(self, url: str, between: Callable[[], object], *, read_all: bool = True) -> None:
        with requests.get(url, stream=True, timeout=PATIENCE) as response:
            chunks = response.iter_content(5)
            next(chunks)
            between()
            if read_all:
                list(chunks)
                between()


class Urllib3(Client):
    library = "urllib3"
    timeout = urllib3.exceptions.MaxRetryError
    failures = (urllib3.exceptions.HTTPError,)

    def get(
        self, url: str, headers: Any = None, *, trusted: str = "", proxy: str = "", timeout: float = PATIENCE
    ) -> int:
        options: dict[str, Any] = {"ca_certs": trusted} if trusted else {}
        pools = urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)
        retries = urllib3.Retry(3, connect=0, read=0)
        status: int = pools.request("GET", url, headers=headers, timeout=timeout, retries=retries).status
        pools.clear()
        return status

    def stream(self, url: str, between: Callable[[], object], *, read_all: bool = True) -> None:
        with urllib3.PoolManager() as pools:
            response = pools.request("GET", url, preload_content=False)
            response.read(5)
            between()
            if read_all:
                response.read()
                between()
            response.close()


class Httpx(Client):
    library = "httpx"
    timeout = httpx.ReadTimeout
    failures = (httpx.HTTPError,)

    def get(
        self, url: str, headers: Any = None, *, trusted: str = "", proxy: str = "", timeout: float = PATIENCE
    ) -> int:
        with httpx.Client(**_httpx_options(trusted, proxy), timeout=timeout, follow_redirects=True) as client:
            return client.get(url, headers=headers).status_code

    def stream(self, url: str, between: Callable[[], object], *, read_all: bool = True) -> None:
        with httpx.Client() as client, client.stream("GET", url) as response:
            chunks = response.iter_bytes(5)
            next(chunks)
            between()
            if read_all:
                list(chunks)
                between()


class AsyncClient(Client):
    """A client whose calls are awaited."""

    def get(
        self, url: str, headers: Any = None, *, trusted: str = "", proxy: str = "", timeout: float = PATIENCE
    ) -> int:
        return asyncio.run(self.aget(url, headers, trusted=trusted, proxy=proxy, timeout=timeout))

    async def aget(
        self, url: str, headers: Any = None, *, trusted: str = "", proxy: str = "", timeout: float = PATIENCE
    ) -> int:
        raise NotImplementedError

    def get_all(self, urls: list[str]) -> None:
        async def main() -> None:
            await asyncio.gather(*(self.aget(url) for url in urls))

        asyncio.run(main())

    def stream(self, url: str, between: Callable[[], object], *, read_all: bool = True) -> None:
        asyncio.run(self.astream(url, between, read_all=read_all))

    async def astream(self, url: str, between: Callable[[], object], *, read_all: bool) -> None:
        raise NotImplementedError


class HttpxAsync(AsyncClient):
    library = "httpx"
    timeout = httpx.ReadTimeout
    failures = (httpx.HTTPError,)

    async def aget(
        self, url: str, headers: Any = None, *, trusted: str = "", proxy: str = "", timeout: float = PATIENCE
    ) -> int:
        async with httpx.AsyncClient(
            **_httpx_options(trusted, proxy), timeout=timeout, follow_redirects=True
        ) as client:
            return (await client.get(url, headers=headers)).status_code

    async def astream(self, url: str, between: Callable[[], object], *, read_all: bool) -> None:
        async with httpx.AsyncClient() as client, client.stream("GET", url) as response:
            chunks = response.aiter_bytes(5)
            await chunks.__anext__()
            between()
            if read_all:
                async for _ in chunks:
                    pass
                between()


class Aiohttp(AsyncClient):
    library = "aiohttp"
    timeout = asyncio.TimeoutError
    failures = (aiohttp.ClientError,)

    def get(
        self, url: str, headers: Any = None, *, trusted: str = "", proxy: str = "", timeout: float = PATIENCE
    ) -> int:
        try:
            return super().get(url, headers, trusted=trusted, proxy=proxy, timeout=timeout)
        finally:
            if url.startswith("https"):  # old versions let go of a TLS connection without closing it
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ResourceWarning)
                    gc.collect()

    async def aget(
        self, url: str, headers: Any = None, *, trusted: str = "", proxy: str = "", timeout: float = PATIENCE
    ) -> int:
        context = ssl.create_default_context(cafile=trusted or None)
        limit = aiohttp.ClientTimeout(sock_read=timeout)
        async with (
            aiohttp.ClientSession(timeout=limit) as session,
            session.get(url, headers=headers, ssl=context, proxy=proxy or None) as response,
        ):
            await response.read()
            return response.status

    async def astream(self, url: str, between: Callable[[], object], *, read_all: bool) -> None:
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            await response.content.read(5)
            between()
            if read_all:
                await response.content.read()
                between()


class HttpClient(Client):
    library = "http.client"
    timeout = TimeoutError
    failures = (OSError, http.client.HTTPException)

    def get(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        trusted: str = "",
        proxy: str = "",
        timeout: float = PATIENCE,
    ) -> int:
        parts = urlsplit(url)
        near, target = urlsplit(proxy or url), f"{parts.path or '/'}{'?' * bool(parts.query)}{parts.query}"
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=trusted or None)
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                near.hostname or "", near.port, timeout=timeout, context=context
            )
            if proxy:
                connection.set_tunnel(parts.hostname or "", parts.port)
        else:
            connection = http.client.HTTPConnection(near.hostname or "", near.port, timeout=timeout)
            target = url if proxy else target
        with closing(connection):
            connection.request("GET", target, headers=headers or {})
            response = connection.getresponse()
            response.read()
            return response.status


@contextmanager
def closing(connection: http.client.HTTPConnection) -> Iterator[None]:
    try:
        yield
    finally:
        connection.close()


def _httpx_options(trusted: str, proxy: str) -> dict[str, Any]:
    options: dict[str, Any] = {"verify": ssl.create_default_context(cafile=trusted)} if trusted else {}
    if not proxy:
        return options
    # `proxy` came with httpx 0.26, where `proxies` began to leave.
    new = tuple(map(int, httpx.__version__.split(".")[:2])) >= (0, 26)
    return {**options, "proxy": proxy} if new else {**options, "proxies": proxy}


CLIENTS = [Requests(), Urllib3(), Httpx(), HttpxAsync(), Aiohttp(), HttpClient()]
