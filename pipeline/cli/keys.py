"""``loanlint keys``: keys of the service."""

from __future__ import annotations

import time

import click

from ..errors import UsageError
from .service_options import database, moment, opened


@click.group(name="keys")
def command() -> None:
    """管理服务密钥。Keys of the service."""


@command.command()
@click.argument("name")
@click.option(
    "--scope",
    type=click.Choice(("score", "review", "admin")),
    default="score",
    show_default=True,
    help="权限,后者包含前者。What the key may do; each includes those before it.",
)
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="每秒请求数上限。Requests a second.")
@database
def add(name: str, scope: str, rate: float | None, database: str) -> int:
    """新建密钥;密钥只显示这一次。Make a key. It is shown this once and kept only as a digest."""
    if not name.strip() or len(name) > 100 or not name.isprintable():
        raise UsageError("a key needs a name of 1 to 100 printable characters")
    with opened(database) as store:
        from ..service.auth import new_key
        from .output import write

        key, row = new_key(name, scope, rate)
        store.add_key(row)
        write(key)
    click.echo(f"loanlint: {row.id} {name} ({scope})", err=True)
    return 0


@command.command(name="list")
@database
def list_keys(database: str) -> int:
    """列出密钥。List keys; never the keys themselves."""
    with opened(database) as store:
        from .output import visible, write

        for key in store.all_keys():
            rate = f"{key.rate:g}/s" if key.rate else "-"
            state = f"revoked {moment(key.revoked)}" if key.revoked is not None else "in use"
            write(f"{key.id}  {key.scope:<6}  {rate:<8}  {moment(key.created)}  {state}  {visible(key.name)}")
    return 0


@command.command()
@click.argument("key_id", metavar="ID")
@database
def revoke(key_id: str, database: str) -> int:
    """停用密钥。Refuse a key from now on."""
    with opened(database) as store:
        if not store.revoke_key(key_id, time.time()):
            raise UsageError(f"no key {key_id!r} in use; `loanlint keys list` shows them")
    click.echo(f"loanlint: {key_id} revoked", err=True)
    return 0
