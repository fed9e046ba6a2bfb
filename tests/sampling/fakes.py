"""What the samplers' tests share: a clock that is set by hand, and a central sampler that is stepped by hand."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from xray_lambda.sampling.central import CentralSampler
from xray_lambda.sampling.daemon import DaemonClient
from xray_lambda.sampling.local import LocalSampler
from xray_lambda.sampling.request import SamplingRequest

if TYPE_CHECKING:
    from tests.servers.xray_api import XRayAPI

START = 1_700_000_000.0
NO_LOCAL: dict[str, Any] = {"version": 2, "default": {"fixed_target": 0, "rate": 0}}
SHOP = SamplingRequest("shop", "shop.example", "GET", "/")


def threads_left() -> list[threading.Thread]:
    """Return the samplers' threads that do not come to an end by themselves, which takes a busy machine a moment."""
    for thread in samplers_threads():
        thread.join(20)
    return samplers_threads()


def samplers_threads() -> list[threading.Thread]:
    """Return the samplers' threads."""
    return [thread for thread in threading.enumerate() if thread.name == "xray_lambda-sampling"]


class Clock:
    """Seconds since the epoch, which stand still until a test moves them."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class Stepped:
    """A central sampler whose thread is the test: `pass_time` moves the clock, and does what is due meanwhile.

    `chance` is what its random numbers are: 0.999 samples nothing by rate, and jitters most.
    """

    def __init__(self, api: XRayAPI, clock: Clock, chance: float = 0.999, client: Any = None) -> None:
        self.clock = clock
        self.chance = chance
        self.sampler = CentralSampler(
            DaemonClient("127.0.0.1", api.port) if client is None else client,
            LocalSampler(NO_LOCAL, clock=clock),
            clock=clock,
            ticks=clock,
            chance=lambda: self.chance,
        )
        self.sampler._poller.started = True
        self.next_step = clock.now

    def step(self) -> float:
        pause = self.sampler.step()
        self.next_step = self.clock.now + pause
        return pause

    def pass_time(self, seconds: float) -> None:
        end = self.clock.now + seconds
        while self.next_step <= end:
            self.clock.now = max(self.clock.now, self.next_step)
            self.step()
        self.clock.now = end

    def decide(self, request: SamplingRequest = SHOP, requests: int = 1) -> tuple[int, str | None]:
        """Return how many are sampled, and by which rule, of so many requests in this instant."""
        decisions = [self.sampler.decide(request) for _ in range(requests)]
        return sum(one.sampled for one in decisions), decisions[-1].rule
