"""The taxonomy and the legal register."""

from __future__ import annotations

import json
from datetime import date

import pytest

from pipeline.taxonomy import SEVERITY_LABELS, VERIFICATION_MARKS, taxonomy

CODES = (
    "no_credit_check", "guaranteed_approval", "instant_disbursement", "impaired_credit_targeting", "minimal_documents",
    "loophole_channel", "cost_bait", "student_minor_lending", "upfront_fee", "document_fabrication", "credit_debt_agent",
    "impersonation", "unlicensed_usury", "cash_out",
)  # fmt: skip


def test_the_fourteen_codes_are_permanent() -> None:
    assert tuple(taxonomy().codes) == CODES
    assert len(taxonomy().signals) == 9
    assert tuple(s.label for s in taxonomy().severities) == SEVERITY_LABELS


def test_every_code_has_references_that_are_marked() -> None:
    for code in taxonomy().codes.values():
        found = taxonomy().legal([code.id], date(2026, 11, 24))
        assert any(f"{r.id}:{r.article}" in code.legal for r in found), code.id
        assert all(r.verified in VERIFICATION_MARKS for r in found)


def test_unverified_and_superseded_instruments_are_not_shipped() -> None:
    ids = {r.id for r in taxonomy().references.values()}
    assert ids.isdisjoint({"FPOM-draft", "CFC", "PIP"})


@pytest.mark.parametrize(
    ("code", "day", "cited", "not_cited"),
    [
        ("instant_disbursement", date(2026, 9, 29), "ADLAW", "FPOM"),
        ("instant_disbursement", date(2026, 9, 30), "FPOM", ""),
        ("cash_out", date(2017, 6, 1), "CARD2009", "CARD2018"),
        ("cash_out", date(2026, 6, 1), "CARD2018", "CARD2009"),
        ("cost_bait", date(2026, 7, 31), "PBC2021-3", "NFRA2026-2"),
        # Known to the month only: not before its end.
        ("cost_bait", date(2025, 12, 30), "PBC2021-3", "SLC-COST"),
    ],
)
def test_references_are_picked_by_date(code: str, day: date, cited: str, not_cited: str) -> None:
    ids = {r.id for r in taxonomy().legal([code], day)}
    assert cited in ids
    assert not_cited not in ids


def test_nothing_is_cited_before_there_was_law() -> None:
    assert taxonomy().legal(list(CODES), date(1990, 1, 1)) == []


def test_command_lists_everything(run) -> None:
    document = json.loads(run("taxonomy", "--format", "json", "--date", "2026-11-24").out)
    assert [c["id"] for c in document["codes"]] == list(CODES)
    assert all(r["relation"] == "may_engage" for c in document["codes"] for r in c["legal"])
    one = run("taxonomy", "cash_out", "--date", "2026-11-24")
    assert one.status == 0
    assert "套现" in one.out
    assert "[unconfirmed]" in one.out
