"""What a rule may record: its quota a second while that lasts, one borrowed a second without, a share of the rest."""

from __future__ import annotations

import random
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xray_lambda.sampling.account import Account

NEVER, ALWAYS = (lambda: 1.0), (lambda: 0.0)


def recorded(account: Account, now: float, requests: int, *, may_borrow: bool = True) -> int:
    return sum(account.decide(now, may_borrow) for _ in range(requests))


def counted(account: Account) -> tuple[int, int, int]:
    counts = account.take_counts()
    return counts.requests, counts.sampled, counts.borrowed


def test_the_quota_is_what_is_recorded_in_each_second() -> None:
    account = Account(0.0, quota=3, quota_until=inf)
    assert [recorded(account, second, 5) for second in (10, 10.9, 11, 12)] == [3, 0, 3, 3]
    assert counted(account) == (20, 9, 0)


def test_beyond_the_quota_the_rate_decides() -> None:
    chances = iter([0.49, 0.5, 0.51, 0.0])
    account = Account(0.5, quota=1, quota_until=inf, chance=lambda: next(chances))
    assert [account.decide(7, True) for _ in range(5)] == [True, True, False, False, True]


@pytest.mark.parametrize(("rate", "chance", "expected"), [(0.0, 0.0, 0), (1.0, 0.999999, 5)])
def test_a_rate_of_nothing_records_nothing_and_one_of_all_all(rate: float, chance: float, expected: int) -> None:
    assert recorded(Account(rate, chance=lambda: chance), 1, 5, may_borrow=False) == expected


def test_a_quota_holds_until_its_time_and_not_longer() -> None:
    account = Account(0.0, quota=2, quota_until=100.0, chance=NEVER)
    assert recorded(account, 100.0, 5) == 2
    assert recorded(account, 101.0, 5) == 1
    assert counted(account) == (10, 3, 1)


def test_a_quota_that_runs_out_within_a_second_leaves_nothing_to_borrow_in_it() -> None:
    account = Account(0.0, quota=1, quota_until=100.5, chance=NEVER)
    assert recorded(account, 100.2, 1) == 1
    assert recorded(account, 100.7, 5) == 0


def test_without_a_quota_one_a_second_is_borrowed() -> None:
    account = Account(0.0, chance=NEVER)
    assert [recorded(account, second, 4) for second in (5, 5.5, 6, 7)] == [1, 0, 1, 1]
    assert counted(account) == (16, 3, 3)


def test_a_rule_without_a_reservoir_borrows_nothing() -> None:
    account = Account(0.0, chance=NEVER)
    assert recorded(account, 5, 4, may_borrow=False) == 0
    assert counted(account) == (4, 0, 0)


def test_a_quota_of_nothing_leaves_the_rate_alone_and_borrows_nothing() -> None:
    account = Account(0.0, quota=0, quota_until=inf, chance=NEVER)
    assert recorded(account, 5, 4) == 0


def test_a_clock_that_is_set_back_begins_another_second() -> None:
    account = Account(0.0, quota=1, quota_until=inf, chance=NEVER)
    assert [recorded(account, second, 2) for second in (10, 9, 9, 10)] == [1, 1, 0, 1]


def test_a_boost_stands_in_for_the_rate_until_its_time() -> None:
    account = Account(0.1, chance=lambda: 0.5)
    account.boost_rate, account.boost_until = 0.8, 100.0
    assert recorded(account, 99.9, 3, may_borrow=False) == 3
    assert recorded(account, 100.0, 3, may_borrow=False) == 0


def test_a_boost_leaves_the_reservoir_as_it_is() -> None:
    account = Account(1.0, quota=2, quota_until=inf, chance=NEVER)
    account.boost_rate, account.boost_until = 0.0, inf
    assert recorded(account, 5, 5) == 2


def test_counts_are_taken_once_and_what_did_not_arrive_is_added() -> None:
    account = Account(0.0, chance=NEVER)
    recorded(account, 1, 3)
    kept = account.take_counts()
    assert repr(kept) == "Counts(3, 1, 1)"
    recorded(account, 2, 2)
    account.give_back(kept)
    assert counted(account) == (5, 2, 2)
    assert counted(account) == (0, 0, 0)


def test_a_forked_child_counts_for_itself() -> None:
    account = Account(0.0, quota=1, quota_until=inf)
    account.lock.acquire()  # as a thread of the parent's may have, which is not there any more
    held = account.lock
    account.start_anew()
    assert account.lock is not held
    assert recorded(account, 1, 3) == 1
    assert counted(account) == (3, 1, 0)


def test_a_signal_handler_may_come_while_a_decision_is_made() -> None:
    account = Account(0.5, chance=lambda: float(not account.decide(1, False)) if account.counts.requests < 2 else 0.0)
    assert account.decide(1, False)
    assert account.take_counts().requests == 2


@given(
    st.floats(0, 1),
    st.integers(0, 5),
    st.one_of(st.just(-inf), st.floats(0, 20), st.just(inf)),
    st.booleans(),
    st.lists(st.floats(0, 20), max_size=60),
    st.integers(),
)
def test_the_counts_always_add_up(
    rate: float, quota: int, until: float, may_borrow: bool, times: list[float], seed: int
) -> None:
    account = Account(rate, quota, until, chance=random.Random(seed).random)
    answers = [account.decide(now, may_borrow) for now in sorted(times)]
    requests, sampled, borrowed = counted(account)
    assert (requests, sampled) == (len(times), sum(answers))
    assert borrowed <= sampled
    seconds = {int(now) for now in times if now > until}
    assert borrowed <= len(seconds) * may_borrow
