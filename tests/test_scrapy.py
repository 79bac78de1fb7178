"""The Scrapy item pipeline, in a crawl of a small site served on this machine."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from batch_support import AD, CLEAN

SPIDER = """
import sys
import scrapy
from scrapy.crawler import CrawlerProcess


class Spider(scrapy.Spider):
    name = "site"
    start_urls = [sys.argv[1]]

    def parse(self, response):
        yield {"url": response.url, "html": response.text, "text": " ".join(response.css("p::text, li::text").getall())}
        yield {"url": response.url, "other": 1}
        yield from response.follow_all(css="a", callback=self.parse)


if __name__ == "__main__":
    settings = {
        "ITEM_PIPELINES": {"pipeline.integrations.scrapy.LoanlintPipeline": 300},
        "FEEDS": {sys.argv[2]: {"format": "jsonlines"}},
        "LOG_LEVEL": "INFO",
        "TELNETCONSOLE_ENABLED": False,
        **eval(sys.argv[3]),
    }
    process = CrawlerProcess(settings)
    process.crawl(Spider)
    process.start()
"""

PAGES = {
    "index.html": f"<html><title>首页</title><p>{CLEAN}</p><a href='ad.html'>一</a><a href='news.html'>二</a></html>",
    "ad.html": f"<html><title>口子</title><p>{CLEAN}</p><ul><li>{AD}</li></ul></html>",
    "news.html": f"<html><title>新闻</title><p>{CLEAN}。</p></html>",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("site")
    for name, page in PAGES.items():
        (folder / name).write_text(f"<meta charset=utf-8>{page}", encoding="utf-8")

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/index.html"
        server.shutdown()
        thread.join()


def crawl(site: str, folder: Path, **settings: Any) -> tuple[dict[str, dict[str, Any]], str, list[dict[str, Any]]]:
    """Items by page, the log, and items without text."""
    (folder / "spider.py").write_text(SPIDER, encoding="utf-8")
    out = folder / "items.jsonl"
    done = subprocess.run(
        [sys.executable, str(folder / "spider.py"), site, str(out), repr(settings)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    return (
        {r["url"].rsplit("/", 1)[1]: r for r in rows if "text" in r},
        done.stderr,
        [r for r in rows if "text" not in r],
    )


def test_texts(site: str, tmp_path: Path) -> None:
    items, log, others = crawl(site, tmp_path, LOANLINT_TEXT_FIELD="text")
    assert set(items) == set(PAGES)
    assert {name: item["severity"] >= 2 for name, item in items.items()} == {
        "index.html": False,
        "ad.html": True,
        "news.html": False,
    }
    ad = items["ad.html"]
    assert all(ad["text"][e["start"] : e["end"]] == e["raw"] for e in ad["evidence"])
    assert "loanlint/none': 2" in log
    assert "loanlint/skipped': 3" in log
    assert all(set(item) == {"url", "other"} for item in others)


def test_pages_of_which_only_the_flagged_are_kept(site: str, tmp_path: Path) -> None:
    items, log, _ = crawl(site, tmp_path, LOANLINT_HTML_FIELD="html", LOANLINT_ONLY_FLAGGED=True, LOANLINT_PREFIX="ll_")
    assert list(items) == ["ad.html"]
    assert items["ad.html"]["ll_promo_exposure"] == 1
    assert items["ad.html"]["ll_article_severity"] == 0
    assert [s["text"] for s in items["ad.html"]["ll_segments"]] == [AD]
    assert "'item_dropped_count': 2" in log


def test_settings_that_contradict(site: str, tmp_path: Path) -> None:
    items, log, _ = crawl(site, tmp_path, LOANLINT_HTML_FIELD="html", LOANLINT_TEXT_FIELD="text")
    assert "set LOANLINT_TEXT_FIELD or LOANLINT_HTML_FIELD, not both" in log
    assert all("severity" not in item for item in items.values())
