"""Webhook messages signed, sent, tried again.

Signatures follow the Standard Webhooks specification: HMAC-SHA256 over ``id.timestamp.body``, headers ``webhook-id``,
``webhook-timestamp``, ``webhook-signature``.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import logging
import random
import time
from collections.abc import Sequence

import httpx

from .. import __version__
from ..errors import UsageError
from .database import StoreError
from .logs import log
from .metrics import Metrics
from .outbox import SECRET_PREFIX, Delivery, Message, Outbox

_SEND_SECONDS = 10.0
_CLAIM_SECONDS = 60.0
_AT_ONCE = 16


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of ``webhook-signature``."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error as error:
        raise UsageError(f"the webhook secret must be {SECRET_PREFIX} and base64") from error
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


class Sender:
    """Sends what is due, in one task of each worker."""

    def __init__(self, outbox: Outbox, metrics: Metrics, retry_seconds: Sequence[float], poll_seconds: float) -> None:
        self._outbox = outbox
        self._metrics = metrics
        self._retry = retry_seconds
        self._poll = poll_seconds

    async def run(self) -> None:
        """Send until cancelled. What was being sent then is sent again by whoever looks next."""
        # A receiver cannot send us elsewhere, and no proxy of the environment is asked.
        async with httpx.AsyncClient(timeout=_SEND_SECONDS, follow_redirects=False, trust_env=False) as client:
            while True:
                try:
                    sent = await self._round(client)
                except StoreError as error:
                    log("outbox failed", level=logging.ERROR, code=error.code)
                    sent = 0
                if sent < _AT_ONCE:
                    await asyncio.sleep(self._poll)

    async def _round(self, client: httpx.AsyncClient) -> int:
        if not await asyncio.to_thread(self._outbox.due, time.time()):
            return 0
        messages = await asyncio.to_thread(self._outbox.claim, time.time(), _CLAIM_SECONDS, _AT_ONCE)
        await asyncio.gather(*(self._deliver(client, message) for message in messages))
        return len(messages)

    async def _deliver(self, client: httpx.AsyncClient, message: Message) -> None:
        body = message.body.encode()
        now = time.time()
        headers = {
            "content-type": "application/json",
            "user-agent": f"loanlint/{__version__}",
            "webhook-id": message.id,
            "webhook-timestamp": str(int(now)),
            "webhook-signature": sign(message.webhook.secret, message.id, int(now), body),
        }
        started = time.monotonic()
        status: int | None = None
        error: str | None = None
        try:
            async with client.stream("POST", message.webhook.url, content=body, headers=headers) as response:
                status = response.status_code
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as failure:
            error = type(failure).__name__
        delivery = Delivery(message, now, time.monotonic() - started, status, error)
        await asyncio.to_thread(self._outbox.settle, delivery, self._next(message.attempts))
        self._metrics.board.add("webhooks_delivered" if delivery.delivered else "webhooks_failed")
        log(
            "webhook",
            message=message.id,
            webhook=message.webhook.id,
            attempt=message.attempts + 1,
            status=status,
            failure=error,
        )

    def _next(self, attempts: int) -> float | None:
        if attempts >= len(self._retry):
            return None
        # A little at random, so that a receiver that was down is not met by everything at once.
        return time.time() + self._retry[attempts] * random.uniform(0.9, 1.2)
