"""A program that lives through an hour of requests in seconds, forks on the way, and says what it recorded.

`python hour.py PORT`: its clock is set by hand, X-Ray is the stand-in at that port, its forks are real. Each process
goes on second by second, in turn. It prints what each of them saw of each rule in each second, as JSON.
"""

from __future__ import annotations

import json
import os
import random
import sys
from typing import Any

from xray_lambda.sampling.central import CentralSampler
from xray_lambda.sampling.daemon import DaemonClient
from xray_lambda.sampling.local import LocalSampler
from xray_lambda.sampling.request import SamplingRequest

START = 1_700_000_000
SECONDS = 3600
FORKS = (600, 1800)
REQUESTS = {
    "checkout": SamplingRequest("shop", "shop.example", "POST", "/checkout/17"),
    "api": SamplingRequest("shop", "shop.example", "GET", "/api/orders"),
    "health": SamplingRequest("shop", "shop.example", "GET", "/health"),
    "gold": SamplingRequest("shop", "shop.example", "GET", "/account", None, {"tier": "gold"}),
    "Default": SamplingRequest("shop", "shop.example", "GET", "/"),
}
# How many of each come in a usual second; some seconds have three times as many, some none.
USUAL = {"checkout": 9, "api": 15, "health": 4, "gold": 4, "Default": 8}


class Process:
    """One process's sampler, and what it decided: for each rule, a number of requests and of recorded ones a second."""

    def __init__(self, port: int) -> None:
        self.now = float(START)
        self.sampler = CentralSampler(
            DaemonClient("127.0.0.1", port),
            LocalSampler(),
            clock=lambda: self.now,
            ticks=lambda: self.now,
            chance=random.Random(5).random,
        )
        self.began = 0
        self.begin(0, 5)

    def begin(self, second: int, seed: int) -> None:
        """Begin, as a program or as a forked child, whose random numbers are other ones, as Python sees to."""
        self.began = second
        self.next_step = self.now
        self.seen: dict[str, list[tuple[int, int]]] = {name: [] for name in REQUESTS}
        self.sampler._poller.started = True  # this program is its own poller
        self.chances = random.Random(seed)
        self.sampler._chance = self.chances.random
        for account in self.sampler._accounts.values():
            account._chance = self.chances.random

    def live(self, second: int) -> None:
        """Live through one second."""
        self.now = float(START + second)
        if self.now >= self.next_step:
            self.next_step = self.now + self.sampler.step()
        for name, request in REQUESTS.items():
            count = USUAL[name] * (0 if second % 11 == 10 else 3 if second % 7 == 6 else 1)
            sampled = 0
            for number in range(count):
                self.now = START + second + number / count
                sampled += self.sampler.decide(request).sampled
            self.seen[name].append((count, sampled))

    def story(self) -> dict[str, Any]:
        return {"client": self.sampler._client_id, "began": self.began, "seen": self.seen}


class Child:
    """A forked child, which lives on when it is told to."""

    def __init__(self, process: Process, second: int, seed: int) -> None:
        self.orders, orders = os.pipe()
        answers, self.answers = os.pipe()
        if os.fork() == 0:
            code = 1
            try:
                process.begin(second, seed)
                self.obey(process)
                code = 0
            finally:
                os._exit(code)
        self.tell, self.hear = os.fdopen(orders, "wb", 0), os.fdopen(answers, "rb")
        os.close(self.orders)
        os.close(self.answers)

    def obey(self, process: Process) -> None:
        with os.fdopen(self.orders, "rb") as orders, os.fdopen(self.answers, "wb", 0) as answers:
            for order in orders:
                if order == b"end\n":
                    answers.write(json.dumps(process.story()).encode() + b"\n")
                    return
                process.live(int(order))
                answers.write(b"done\n")

    def live(self, second: int) -> None:
        self.tell.write(b"%d\n" % second)
        assert self.hear.readline() == b"done\n"

    def end(self) -> Any:
        self.tell.write(b"end\n")
        return json.loads(self.hear.readline())


def main(port: int) -> None:
    process = Process(port)
    children: list[Child] = []
    for second in range(SECONDS):
        if second in FORKS:
            children.append(Child(process, second, seed=second))
        process.live(second)
        for child in children:
            child.live(second)
    print(json.dumps([process.story(), *(child.end() for child in children)]))


if __name__ == "__main__":
    main(int(sys.argv[1]))
