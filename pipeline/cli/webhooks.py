"""``loanlint webhooks``: who is told of flagged texts."""

from __future__ import annotations

import secrets
import time
from urllib.parse import urlsplit

import click

from ..errors import UsageError
from .service_options import database, moment, opened

_LEVELS = ("borderline", "misleading", "illegal")


@click.group(name="webhooks")
def command() -> None:
    """管理回调通知。Webhooks: receivers that are told of flagged texts."""


@command.command()
@click.argument("url")
@click.option(
    "--min-severity",
    type=click.Choice(_LEVELS),
    default="misleading",
    show_default=True,
    help="达到该级别即通知。Severity from which to tell.",
)
@database
def add(url: str, min_severity: str, database: str) -> int:
    """新增回调地址;签名密钥只显示这一次。Add a receiver. Prints the signing secret, this once."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good:
        raise UsageError(f"{url!r} is no http or https address")
    with opened(database) as store:
        from ..service.outbox import Webhook, new_secret
        from .output import write

        hook = Webhook(secrets.token_hex(6), url, new_secret(), 1 + _LEVELS.index(min_severity), time.time())
        store.outbox.add(hook)
        write(hook.secret)
    click.echo(f"loanlint: {hook.id} {url} ({min_severity})", err=True)
    return 0


@command.command(name="list")
@database
def list_hooks(database: str) -> int:
    """列出回调地址与待发数量。List receivers, and messages by state."""
    with opened(database) as store:
        from .output import write

        for hook in store.outbox.webhooks():
            write(f"{hook.id}  {_LEVELS[hook.min_severity - 1]:<10}  {moment(hook.created)}  {hook.url}")
        for state, count in sorted(store.outbox.counts().items()):
            write(f"{state}: {count}")
    return 0


@command.command()
@click.argument("webhook_id", metavar="ID")
@database
def remove(webhook_id: str, database: str) -> int:
    """删除回调地址。Tell a receiver nothing more."""
    with opened(database) as store:
        if not store.outbox.remove(webhook_id, time.time()):
            raise UsageError(f"no webhook {webhook_id!r}; `loanlint webhooks list` shows them")
    click.echo(f"loanlint: {webhook_id} removed", err=True)
    return 0


@command.command()
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="行数。How many lines.")
@database
def deliveries(limit: int, database: str) -> int:
    """显示投递记录。The latest attempts to deliver."""
    with opened(database) as store:
        from .output import write

        for row in store.outbox.deliveries(limit):
            outcome = row["status"] if row["status"] is not None else row["error"]
            write(
                f"{moment(row['at'])}  {row['webhook_id']}  {row['message_id']}  attempt {row['attempt']}  {outcome}"
                f"  {row['seconds']:.2f} s"
            )
    return 0
