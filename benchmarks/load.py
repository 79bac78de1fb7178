"""Load on the service, bounded, over loopback only. Run: python benchmarks/load.py [--workers 2] [--mix ordinary|dense].

Starts a service of its own with a store in a temporary folder, and measures: single texts and batches of 100 as fast as they
are answered (closed loop), then each at half of that (open loop, latency from the moment a request was due, so that a
stall counts for all requests it holds up). ``--soak MINUTES`` runs single texts at half speed and watches memory.
The generator shares the machine with the service; its own CPU time is printed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import uvloop

ROOT = Path(__file__).resolve().parent.parent
PLACES = ("公园", "图书馆", "菜市场", "体育馆", "河边", "学校", "车站", "老家", "海边", "博物馆", "书店", "花店")
PEOPLE = ("我们", "他和朋友", "邻居", "同事", "妈妈", "孩子们", "老师", "游客", "球迷", "店主")
DEEDS = (
    "一起做饭", "看了一场球赛", "拍了很多照片", "讨论周末的安排", "买了新鲜蔬菜", "听了一场讲座", "修好了自行车", "种下一排小树",
    "排队等了很久", "聊起小时候的事", "练习弹吉他", "看完了那部电影",
)  # fmt: skip
WHEN = ("今天早上", "昨天下午", "上个周末", "国庆假期", "下班以后", "放学路上", "天气转凉时", "雨停之后")
MAX_SECONDS = 3_600


def ordinary(rng: random.Random) -> str:
    """A made-up text that has nothing to do with loans, of 20 to 80 characters."""
    parts = [
        f"{rng.choice(WHEN)}{rng.choice(PEOPLE)}在{rng.choice(PLACES)}{rng.choice(DEEDS)}"
        for _ in range(rng.randint(1, 4))
    ]
    return ",".join(parts) + str(rng.randint(0, 9999))


def corpus() -> list[str]:
    """Loan texts of the corpus: half advertisements, half what looks like them."""
    lines = (
        line
        for file in sorted(ROOT.glob("data/corpus/*.jsonl"))
        for line in file.read_text(encoding="utf-8").split("\n")
    )
    texts = [json.loads(line)["text"] for line in lines if line]
    return [text for text in texts if len(text) <= 200]


def texts(mix: str, count: int, seed: int = 1) -> list[str]:
    """``ordinary``: 1 in 100 is a loan text; ``dense``: all are."""
    rng = random.Random(seed)
    loans = corpus()
    share = 0.01 if mix == "ordinary" else 1.0
    return [rng.choice(loans) if rng.random() < share else ordinary(rng) for _ in range(count)]


def requests(mix: str, batch: int, count: int) -> list[bytes]:
    """Whole HTTP requests."""
    pool = texts(mix, batch * count)
    found = []
    for i in range(count):
        part = pool[i * batch : (i + 1) * batch]
        body = json.dumps({"text": part[0]} if batch == 1 else {"texts": part}, ensure_ascii=False).encode()
        head = f"POST /v1/check HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        found.append(head.encode() + body)
    return found


class Client(asyncio.Protocol):
    """One connection: sends a request, calls ``answered`` with the status when the response is complete."""

    def __init__(self, answered: Callable[[Client, int], None]) -> None:
        self.answered = answered
        self.buffer = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def send(self, request: bytes) -> None:
        assert self.transport is not None
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end]
        length = re.search(rb"content-length: (\d+)", head, re.I)
        assert length is not None
        if len(self.buffer) >= end + 4 + int(length[1]):
            status = int(head[9:12])
            self.buffer = b""
            self.answered(self, status)


async def closed(
    port: int, wanted: Sequence[bytes], connections: int, seconds: float
) -> tuple[float, list[float], int]:
    """As fast as answers come: requests a second, latencies, failures."""
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    failures = 0
    number = 0
    begun: dict[Client, float] = {}
    end = time.perf_counter() + seconds

    def answered(client: Client, status: int) -> None:
        nonlocal failures, number
        now = time.perf_counter()
        latencies.append(now - begun[client])
        failures += status != 200
        if now < end:
            number += 1
            begun[client] = now
            client.send(wanted[number % len(wanted)])

    clients = [
        (await loop.create_connection(lambda: Client(answered), "127.0.0.1", port))[1] for _ in range(connections)
    ]
    start = time.perf_counter()
    for i, client in enumerate(clients):
        begun[client] = start
        client.send(wanted[i % len(wanted)])
    await asyncio.sleep(seconds + 0.5)
    for client in clients:
        assert client.transport is not None
        client.transport.close()
    return len(latencies) / seconds, latencies, failures


async def paced(
    port: int,
    wanted: Sequence[bytes],
    connections: int,
    rate: float,
    seconds: float,
    watch: Callable[[], None] | None = None,
) -> tuple[float, list[float], int]:
    """``rate`` requests a second whatever happens; latency counts from when a request was due."""
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    failures = 0
    due: dict[Client, float] = {}
    waiting: deque[float] = deque()
    number = 0

    def go(client: Client, at: float) -> None:
        nonlocal number
        number += 1
        due[client] = at
        client.send(wanted[number % len(wanted)])

    def answered(client: Client, status: int) -> None:
        nonlocal failures
        latencies.append(time.perf_counter() - due[client])
        failures += status != 200
        if waiting:
            go(client, waiting.popleft())
        else:
            idle.append(client)

    # In turn, so that none is idle long enough to be closed.
    idle: deque[Client] = deque()
    for _ in range(connections):
        idle.append((await loop.create_connection(lambda: Client(answered), "127.0.0.1", port))[1])
    clients = list(idle)
    start = time.perf_counter()
    count = int(rate * seconds)
    watched = start
    for i in range(count):
        at = start + i / rate
        delay = at - time.perf_counter()
        if delay > 0:
            await asyncio.sleep(delay)
        if idle:
            go(idle.popleft(), at)
        else:
            waiting.append(at)
        if watch is not None and at - watched >= 15:
            watched = at
            watch()
    await asyncio.sleep(1.0)
    for client in clients:
        assert client.transport is not None
        client.transport.close()
    return len(latencies) / seconds, latencies, failures + count - len(latencies)


class Running:
    """A service of our own."""

    def __init__(self, workers: int) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.cli", "serve", "--port", "0", "--workers", str(workers), "--db", f"{self.folder.name}/load.db"],
            stdout=subprocess.PIPE,
            stderr=(Path(self.folder.name) / "log").open("wb"),
            cwd=ROOT,
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        self.port = int(line.rsplit(":", 1)[1])
        self.wait()

    def wait(self) -> None:
        import urllib.request

        # The first start after an installation compiles the fast engine.
        for _ in range(3_000):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        self.process.terminate()
        raise SystemExit("the service does not get ready")

    def pids(self) -> list[int]:
        found = [self.process.pid]
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return found + [int(pid) for pid in children.read_text().split()]

    def memory(self) -> float:
        """Resident memory of all its processes, MB."""
        total = 0
        for pid in self.pids():
            match = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
            total += int(match[1]) if match else 0
        return total / 1024

    def cpu(self) -> float:
        """CPU seconds of all its processes."""
        total = 0.0
        for pid in self.pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return total

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=60)
        self.folder.cleanup()
        return status


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def line(name: str, unit: int, result: tuple[float, list[float], int], cpu: float, own: float) -> None:
    rate, latencies, failures = result
    p50, p99, worst = (percentile(latencies, p) * 1e3 for p in (0.5, 0.99, 1.0))
    print(
        f"{name:<34} {rate:>8,.0f} requests/s {rate * unit:>9,.0f} texts/s   p50 {p50:7.2f} ms  p99 {p99:7.2f} ms  max {worst:7.2f} ms"
        f"   failures {failures}   CPU service {cpu:.1f} s, generator {own:.1f} s",
        flush=True,
    )


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--mix", choices=("ordinary", "dense"), default="ordinary")
    parser.add_argument("--rate", type=float, help="requests a second for the run at half speed")
    parser.add_argument("--soak", type=float, metavar="MINUTES")
    options = parser.parse_args()
    seconds = min(options.seconds, MAX_SECONDS)
    service = Running(options.workers)
    try:
        if options.soak:
            await soak(service, options)
            return
        for name, batch, connections in (("single", 1, options.connections), ("batches of 100", 100, 4)):
            wanted = requests(options.mix, batch, 4_000 // batch)
            await closed(service.port, wanted, connections, 1.0)
            before, own = service.cpu(), time.process_time()
            result = await closed(service.port, wanted, connections, seconds)
            line(f"{name}, {options.mix}, full speed", batch, result, service.cpu() - before, time.process_time() - own)
            rate = options.rate or result[0] / 2
            before, own = service.cpu(), time.process_time()
            result = await paced(service.port, wanted, connections, rate, seconds)
            line(f"{name}, {options.mix}, half speed", batch, result, service.cpu() - before, time.process_time() - own)
        print(f"resident memory {service.memory():.0f} MB in {len(service.pids())} processes")
    finally:
        print(f"exit status of the service: {service.stop()}")


async def soak(service: Running, options: argparse.Namespace) -> None:
    seconds = min(options.soak * 60, MAX_SECONDS)
    wanted = requests(options.mix, 1, 8_000)
    rate = options.rate or (await closed(service.port, wanted, options.connections, 5.0))[0] / 2
    readings: list[float] = []

    def watch() -> None:
        readings.append(service.memory())
        print(f"  {readings[-1]:.1f} MB", flush=True)

    watch()
    result = await paced(service.port, wanted, options.connections, rate, seconds, watch)
    watch()
    line(f"soak {options.soak:g} min, {options.mix}", 1, result, service.cpu(), time.process_time())
    third = max(1, len(readings) // 3)
    print(
        f"memory, first third {sum(readings[:third]) / third:.1f} MB, last third {sum(readings[-third:]) / third:.1f} MB"
    )


if __name__ == "__main__":
    uvloop.run(main())
