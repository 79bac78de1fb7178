"""``loanlint serve``: the moderation service."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import UsageError
from .notices import show_compilation
from .service_options import database

_WORKERS = 64


@click.command(name="serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="监听地址。Address to listen at.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="端口,0 表示任选空闲端口。Port; 0 takes any that is free.",
)
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    help="模型目录,默认为已启用的模型。Model directory; by default the activated one, else the shipped one.",
)
@database
@click.option(
    "--workers",
    type=click.IntRange(1, _WORKERS),
    default=1,
    show_default=True,
    help="进程数。Processes that share the port.",
)
@click.option(
    "--engine",
    type=click.Choice(("auto", "plain", "compiled")),
    default="auto",
    show_default=True,
    help="计算引擎,auto 在已安装时使用 compiled。Which scorer; auto takes the compiled one where it is installed.",
)
@click.option(
    "--open",
    "open_access",
    is_flag=True,
    help="不要求密钥,任何能连上的人都可使用。Ask for no key, whoever can connect.",
)
@click.option(
    "--queue/--no-queue",
    default=True,
    help="是否把命中文本存入审核队列。Whether flagged texts are stored for review.",
)
@click.option(
    "--sample",
    type=click.FloatRange(0, 1),
    default=0.002,
    show_default=True,
    help="未命中文本进入审核队列的比例。Share of unflagged texts stored for review.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    help="每个密钥每秒请求数上限。Requests a second allowed to a key that has no rate of its own.",
)
@click.option(
    "--max-body",
    type=click.IntRange(1024),
    default=8 * 2**20,
    show_default=True,
    help="请求体字节数上限。Largest request body in bytes.",
)
@click.option(
    "--max-text",
    type=click.IntRange(1),
    default=20_000,
    show_default=True,
    help="单条文本字符数上限。Longest text in characters.",
)
@click.option(
    "--time-limit",
    type=click.FloatRange(0.1),
    default=30.0,
    show_default=True,
    help="单个请求秒数上限。Longest time for a request in seconds.",
)
@click.option(
    "--idle-limit",
    type=click.FloatRange(0.1),
    default=20.0,
    show_default=True,
    help="等待客户端的秒数上限。Longest wait for a client that sends or takes nothing, in seconds.",
)
@click.option(
    "--second-review",
    type=click.FloatRange(0, 1),
    default=0.1,
    show_default=True,
    help="须由第二人复审的比例。Share of decided texts that another reviewer decides again.",
)
@click.option(
    "--golden-every",
    type=click.IntRange(2),
    default=12,
    show_default=True,
    help="每多少条插入一条金标。Every how many texts a reviewer gets a golden one, where there are any.",
)
def command(
    host: str,
    port: int,
    model: Path | None,
    database: str,
    workers: int,
    engine: str,
    open_access: bool,
    queue: bool,
    sample: float,
    rate: float | None,
    max_body: int,
    max_text: int,
    time_limit: float,
    idle_limit: float,
    second_review: float,
    golden_every: int,
) -> int:
    """启动审核服务(HTTP 接口)。Run the moderation service over HTTP.

    On a loopback address it serves without keys until one is made; on any other it needs keys, or --open. SIGHUP loads the
    model afresh, SIGTERM stops after the requests under way.
    """
    from . import require

    for module in ("uvicorn", "starlette", "msgspec", "prometheus_client", "httpx", "jinja2"):
        require("service", module)
    import os

    from ..service.logs import JsonLines
    from ..service.server import serve
    from ..service.settings import Limits, ReviewSettings, ServiceSettings

    if workers > 1 and not hasattr(os, "fork"):
        raise UsageError("--workers above 1 needs a system that can fork processes")
    show_compilation(JsonLines())
    limits = Limits(
        max_body=max_body,
        max_text=max_text,
        request_seconds=time_limit,
        idle_seconds=idle_limit,
        header_seconds=min(10.0, idle_limit),
        rate=rate,
    )
    return serve(
        ServiceSettings(
            host=host,
            port=port,
            workers=workers,
            model=model,
            engine=engine,
            database=database,
            open_access=open_access,
            queue=queue,
            sample=sample,
            limits=limits,
            review=ReviewSettings(second_share=second_review, golden_every=golden_every),
        )
    )
