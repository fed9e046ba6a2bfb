"""A shop takes an order: prices it, reserves its items side by side, gets it paid at the second attempt."""

from __future__ import annotations

import asyncio
import logging
from typing import TypedDict

from xray_lambda import annotate, metadata, subsegment, traced, traced_handler

PRICES = {"teapot": 31.50, "cup": 7.25, "saucer": 4.00}
CREDIT_LIMIT = 50.00

logger = logging.getLogger()


class Order(TypedDict):
    """The event."""

    id: str
    customer: str
    tier: str
    basket: dict[str, int]


class CardDeclinedError(Exception):
    """The bank said no."""


@traced_handler
async def handler(order: Order, context: object) -> dict[str, object]:
    """Take an order."""
    annotate(order=order["id"], customer_tier=order["tier"])
    metadata(basket=order["basket"])
    total = await price(order["basket"])
    await asyncio.gather(*(reserve(item, count) for item, count in order["basket"].items()))
    return {"order": order["id"], "total": total, "paid_by": await pay(order["customer"], total)}


@traced
async def price(basket: dict[str, int]) -> float:
    """Add up what the basket costs."""
    async with subsegment("read catalogue") as catalogue:
        await asyncio.sleep(0.004)
        prices = {item: PRICES[item] for item in basket}
        catalogue.metadata(prices=prices)
    return sum(prices[item] * count for item, count in basket.items())


@traced
async def reserve(item: str, count: int) -> None:
    """Put items aside in the warehouse; the more of them, the longer it takes."""
    annotate(item=item, count=count)
    await asyncio.sleep(0.008 * count)


@traced
async def pay(customer: str, total: float) -> str:
    """Charge the card, or send an invoice where the card is declined."""
    try:
        await charge(customer, total)
    except CardDeclinedError as refusal:
        logger.warning("paying by invoice: %s", refusal)
        async with subsegment("send invoice") as invoice:
            invoice.annotate(total=total)
            await asyncio.sleep(0.006)
        return "invoice"
    return "card"


@traced
async def charge(customer: str, total: float) -> None:
    """Charge the customer's card."""
    await asyncio.sleep(0.011)
    ask_bank(customer, total)


def ask_bank(customer: str, total: float) -> None:
    """Stand in for the bank, which lends only so much."""
    if total > CREDIT_LIMIT:
        raise CardDeclinedError(f"{customer}'s card allows {CREDIT_LIMIT:.2f}, not {total:.2f}")
