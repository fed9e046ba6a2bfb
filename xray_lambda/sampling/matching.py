"""Matching: what a rule asks of a request, by patterns with `*` and `?` that are compiled once.

Patterns cover the whole text and do not mind case, as in the X-Ray SDKs (aws-xray-sdk-python's `wildcard_match`;
OpenTelemetry's sampler minds it). What is not known of a request matches `*` alone, as in OpenTelemetry's sampler:
a rule for `/checkout` is not meant for a nightly script, which has no path. The X-Ray SDKs take it for a match.
"""

from __future__ import annotations

import fnmatch
import re

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from xray_lambda.sampling.request import SamplingRequest

    Matches = Callable[[str], object]


def expression(pattern: str) -> str:
    """Return the regular expression of a pattern, for a text in lower case; empty for one that every text matches.

    The time it takes grows with the text's length times the pattern's, and no faster: texts come from outside.
    """
    if pattern and not pattern.strip("*"):
        return ""
    return fnmatch.translate(pattern.lower().replace("[", "[[]"))


def compiled(pattern: str) -> Matches | None:
    """Return what says whether a text in lower case matches; None for a pattern that every text matches."""
    source = expression(pattern)
    return re.compile(source).match if source else None


def fits(matches: Matches | None, text: str | None) -> bool:
    """Say whether a text fits a compiled pattern; one that is not known fits `*` alone."""
    return matches is None or (text is not None and bool(matches(text.lower())))


class Matcher:
    """What one rule asks of a request: a pattern for each property, and for each of the attributes it names."""

    __slots__ = ("attributes", "host", "method", "path", "service", "service_type")

    def __init__(
        self,
        *,
        service: str = "*",
        host: str = "*",
        method: str = "*",
        path: str = "*",
        service_type: str = "*",
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        self.service = compiled(service)
        self.host = compiled(host)
        self.method = compiled(method)
        self.path = expression(path)
        self.service_type = compiled(service_type)
        self.attributes = tuple((key, compiled(value)) for key, value in (attributes or {}).items())

    def fits_all_but_path(self, request: SamplingRequest) -> bool:
        """Say whether the properties fit that many requests share; a host does with its port and without."""
        return (
            fits(self.service, request.service)
            and fits(self.method, request.method)
            and fits(self.service_type, request.service_type)
            and (fits(self.host, request.host) or fits(self.host, without_port(request.host)))
        )

    def fits_path(self, path: str | None) -> bool:
        """Say whether the path fits."""
        return not self.path or (path is not None and re.match(self.path, path.lower()) is not None)

    def fits_attributes(self, given: Mapping[str, str] | None) -> bool:
        """Say whether the request has each attribute that the rule names, with a value that fits."""
        return all(
            given is not None and key in given and fits(matches, str(given[key])) for key, matches in self.attributes
        )


def without_port(host: str | None) -> str | None:
    """Return `shop.example` of `shop.example:8000`, `[::1]` of `[::1]:8000`."""
    if host is None:
        return None
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() else host
