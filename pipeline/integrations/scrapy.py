"""A Scrapy item pipeline: every item comes back with the verdict fields, or is dropped if it is not flagged.

In ``settings.py`` of a Scrapy project::

    ITEM_PIPELINES = {"pipeline.integrations.scrapy.LoanlintPipeline": 300}
    LOANLINT_TEXT_FIELD = "text"  # or LOANLINT_HTML_FIELD = "html"

Other settings: ``LOANLINT_MODEL`` (directory), ``LOANLINT_OPERATING_POINT``, ``LOANLINT_FAIL_ON``, ``LOANLINT_PREFIX``,
``LOANLINT_ONLY_FLAGGED``. Counts go to the crawl's statistics under ``loanlint/``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from itemadapter import ItemAdapter
from scrapy.exceptions import DropItem, NotConfigured

from ..batch.pages import score_pages
from ..batch.scoring import Scorer, load_scorer
from ..classifier import CheckSettings

if TYPE_CHECKING:
    from scrapy.crawler import Crawler


class LoanlintPipeline:
    """Judges a field of every item. Items without the field, or with something else than a string in it, pass unchanged."""

    def __init__(
        self,
        scorer: Scorer,
        field: str,
        *,
        html: bool = False,
        prefix: str = "",
        only_flagged: bool = False,
        stats: Any = None,
    ) -> None:
        self._scorer = scorer
        self._field = field
        self._html = html
        self._prefix = prefix
        self._only_flagged = only_flagged
        self._stats = stats

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> LoanlintPipeline:
        """The pipeline that the settings of a crawl ask for."""
        settings = crawler.settings
        text, html = settings.get("LOANLINT_TEXT_FIELD"), settings.get("LOANLINT_HTML_FIELD")
        if text and html:
            raise NotConfigured("set LOANLINT_TEXT_FIELD or LOANLINT_HTML_FIELD, not both")
        check = CheckSettings(
            operating_point=settings.get("LOANLINT_OPERATING_POINT", "balanced"),
            fail_on=settings.get("LOANLINT_FAIL_ON", "misleading"),
        )
        # One item at a time: the compiled engine is no faster there, and the plain one starts at once.
        scorer = load_scorer(settings.get("LOANLINT_MODEL"), check, "plain")
        return cls(
            scorer,
            html or text or "text",
            html=bool(html),
            prefix=settings.get("LOANLINT_PREFIX", ""),
            only_flagged=settings.getbool("LOANLINT_ONLY_FLAGGED"),
            stats=crawler.stats,
        )

    def process_item(self, item: Any) -> Any:
        """The item with the verdict fields. Raises ``DropItem`` if only flagged items are wanted and it is not."""
        adapter = ItemAdapter(item)
        text = adapter.get(self._field)
        if not isinstance(text, str):
            self._count("skipped")
            return item
        scored = score_pages([text], self._scorer) if self._html else self._scorer.score([text])
        verdict = scored.verdicts[0] if scored.verdicts else scored.quiet
        self._count(verdict.label)
        if self._only_flagged and not verdict.flagged:
            raise DropItem("not flagged by loanlint")
        for name, value in msgspec.to_builtins(verdict).items():
            adapter[self._prefix + name] = list(value) if isinstance(value, tuple) else value
        return item

    def _count(self, what: str) -> None:
        if self._stats is not None:
            self._stats.inc_value(f"loanlint/{what}")
