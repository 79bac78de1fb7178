"""kill -9 in the middle of writes loses nothing that was acknowledged."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time

import httpx
import pytest
from serving import AD, ROOT, running

from pipeline.service.store import Entry, Store, item_id

DECIDER = """
import sys, time
from pipeline.service.store import Event, Store
database, item, name = sys.argv[1:]
store = Store(database)
n = 0
while True:
    (seq,) = store.record([Event(item, name, "accept", {"n": n}, time.time())], "decided")
    print(seq, n, flush=True)
    n += 1
"""


@pytest.mark.parametrize("workers", ["1", "2"])
def test_flagged_texts_that_were_answered_are_stored(tmp_path, database, workers: str) -> None:
    acknowledged: list[str] = []
    lock = threading.Lock()
    with running(tmp_path, "--workers", workers, database=database) as service:

        def ask(number: int) -> None:
            with httpx.Client(base_url=service.local, trust_env=False) as client:
                for i in range(10_000):
                    texts = [f"{AD}{number}-{i}-{j}" for j in range(3)]
                    try:
                        answer = client.post("/v1/check", json={"texts": texts})
                    except httpx.HTTPError:
                        return
                    if answer.status_code != 200:
                        return
                    with lock:
                        acknowledged.extend(texts)

        threads = [threading.Thread(target=ask, args=(n,)) for n in range(6)]
        for t in threads:
            t.start()
        time.sleep(1.5)
        children = service.workers()
        service.kill()
        for child in children:
            os.kill(child, signal.SIGKILL)
        for t in threads:
            t.join()
    assert len(acknowledged) > 50
    store = Store(database)
    for text in acknowledged:
        assert store.item(item_id(text)) is not None
    store.close()


def test_decisions_that_were_confirmed_are_stored(tmp_path, database, classifier) -> None:
    """Processes that decide without pause are killed at random moments, several times over."""
    store = Store(database)
    store.ingest([Entry(classifier.check(AD), "flagged", 1.0)])
    item = item_id(AD)
    confirmed: set[tuple[int, str, int]] = set()
    rng = random.Random(7)
    for round in range(3):
        names = [f"r{round}-{i}" for i in range(2)]
        processes = [
            subprocess.Popen([sys.executable, "-c", DECIDER, database, item, name], stdout=subprocess.PIPE, cwd=ROOT)
            for name in names
        ]
        for process in processes:
            # Running, not just started.
            assert process.stdout is not None
            seq, n = process.stdout.readline().split()
            confirmed.add((int(seq), names[processes.index(process)], int(n)))
        time.sleep(rng.uniform(0.05, 0.4))
        for process in processes:
            process.kill()
        for name, process in zip(names, processes, strict=True):
            rest = process.communicate()[0].decode()
            lines = rest.split("\n")[:-1]  # a line cut short was not read by anyone
            confirmed |= {(int(seq), name, int(n)) for seq, n in (line.split() for line in lines)}
    stored = {(e.seq, e.actor, e.body["n"]) for e in store.events(item)}
    assert len(confirmed) > 20
    assert confirmed <= stored
    # What was committed but not yet confirmed may be there as well: at most one for each that was killed.
    assert len(stored - confirmed) <= 6
    store.close()
