"""The whole way round: what a service flagged is decided in the queue, exported, trained on, and taken up by that service."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import httpx
import pytest
from serving import AD, CLEAN, ILLEGAL, ROOT, Running, loanlint, running, wait

# Cards of a board game speak as advertisements do. Reviewers will say that none of them is one.
GAME = (
    "桌游大富翁的机会卡:不看征信无抵押贷款五百元,秒到账,用来买地建旅馆",
    "桌游里的钱庄卡,黑户也能下款,秒到账,轮到你时可用来买地",
    "大富翁玩家心得:抽到口子卡不审核直接下款两千,先买车站再建旅馆",
    "今晚桌游局,我抽中一张黑户贷款卡,秒到账三千,立刻买下两块地",
    "这款桌游的卡牌写着无视征信秒下款,拿着它走到起点要还双倍",
    "桌游测评:口子卡设计得好笑,写着有身份证就能下款,玩家都抢着抽",
    "卡牌说明:借钱卡,不查征信,百分百下款,回合结束归还筹码",
    "孩子最爱大富翁里的贷款卡,黑户花户都能下,马上到账,再去建旅馆",
    "桌游规则更新:钱庄格不审核放款一千,秒到账,破产的玩家也能借",
    "周末桌游吧新到一套卡牌,里面的口子卡不看征信当天放款,逗得大家直乐",
    "我的回合抽到必下款卡,花户也能借两千筹码,秒到账,旅馆建成了",
    "桌游攻略:黑户能下款的卡牌留到最后一轮,秒到账以后买车站最划算",
    "大富翁新版棋盘有个口子格,停在那里无抵押秒到账八百筹码",
    "桌游玩家吐槽:抽到不看征信贷款卡,秒下款,结果下一格就交过路费",
    "机会卡第七张,不用审核直接下款,百分百到账,用它升级旅馆",
    "这副卡牌有强开额度卡,黑户也给两千筹码,当场到账,桌游店有售",
)
LATER = (
    "桌游店上新:大富翁卡牌里的钱庄卡不看征信秒到账,抽到就能买地建旅馆",
    "大富翁卡牌:黑户也能下款的机会卡,秒到账筹码两千,玩家先建旅馆",
)


def small_corpus(folder: Path) -> None:
    """A twelfth of the families of the corpus, so that training takes seconds."""
    rows = [
        line
        for file in sorted(ROOT.glob("data/corpus/*.jsonl"))
        for line in file.read_text(encoding="utf-8").split("\n")
        if line
    ]
    kept = [r for r in rows if hashlib.sha256(json.loads(r)["family"].encode()).digest()[0] % 12 == 0]
    assert 500 < len(kept) < 2_000
    folder.mkdir()
    (folder / "part.jsonl").write_text("".join(f"{row}\n" for row in kept), encoding="utf-8")


def train(corpus: Path, out: Path, *more: str) -> dict:
    done = loanlint("train", "--data", str(corpus), "--out", str(out), *more)
    assert done.returncode == 0, done.stderr.decode()
    manifest: dict = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    return manifest


def review_all(service: Running) -> int:
    """Decide on everything in the queue, through its pages: what speaks of the game is none of it, the rest is right."""
    decided = 0
    with httpx.Client(base_url=service.local, trust_env=False, timeout=30) as client:
        page = client.get("/review")
        while True:
            token = re.search(r'name="csrf" value="(\w+)"', page.text)[1]
            page = client.post("/review/next", data={"csrf": token}, follow_redirects=True)
            if "/items/" not in str(page.url):
                return decided
            version = re.search(r'name="version" value="(\d+)"', page.text)[1]
            shown = re.search(r'<p class="raw".*?</p>', page.text, re.S)[0]
            game = re.search("桌游|大富翁|卡牌|筹码|旅馆", re.sub("<[^>]*>", "", shown))
            action = "overturn:unrelated" if game else "accept"
            answer = client.post(page.url.path, data={"csrf": token, "version": version, "action": action})
            assert answer.status_code == 303, answer.text
            decided += 1


def severities(service: Running, texts: tuple[str, ...]) -> list[int]:
    results = service.post("/v1/check", {"texts": list(texts)}).json()["results"]
    return [result["verdict"]["severity"] for result in results]


@pytest.mark.slow
def test_decisions_are_trained_on_and_change_the_verdict(tmp_path: Path) -> None:
    corpus, before, after = tmp_path / "corpus", tmp_path / "before", tmp_path / "after"
    small_corpus(corpus)
    base = train(corpus, before)
    with running(tmp_path, "--sample", "0", "--second-review", "0", "--model", str(before)) as service:
        assert min(severities(service, LATER)) >= 2, "the game is taken for advertisements"
        taught = [text for text, s in zip(GAME, severities(service, GAME), strict=True) if s >= 2]
        severities(service, (AD, ILLEGAL, CLEAN))
        assert len(taught) >= 10
        assert review_all(service) == len(taught) + len(LATER) + 2
        exported = tmp_path / "all.jsonl"
        done = loanlint("review", "export", "--db", service.database, "--out", str(exported))
        assert done.returncode == 0, done.stderr
        rows = [json.loads(line) for line in exported.read_text(encoding="utf-8").splitlines()]
        assert {row["text"] for row in rows} == {*taught, *LATER, AD, ILLEGAL}
        assert {row["severity"] for row in rows if row["text"] in taught} == {0}
        assert {row["stance"] for row in rows if row["text"] in taught} == {"out_of_scope"}
        # Two texts are held out, to see whether the model learns more than the words it was shown.
        reviewed = tmp_path / "reviewed.jsonl"
        kept = [row for row in rows if row["text"] not in LATER]
        reviewed.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept), encoding="utf-8")

        manifest = train(corpus, after, "--extra", str(reviewed))
        assert manifest["training"]["rows"] == base["training"]["rows"] + len(kept)
        assert manifest["training"]["corpus_digest"] != base["training"]["corpus_digest"]
        assert "桌游" in (after / "vocabulary.txt").read_text(encoding="utf-8")
        assert "桌游" not in (before / "vocabulary.txt").read_text(encoding="utf-8")

        done = loanlint("model", "activate", str(after), "--db", service.database)
        assert done.returncode == 0, done.stderr
        wait(
            lambda: service.post("/v1/check", {"text": CLEAN}).json()["model"] == manifest["model_version"],
            "the new model",
        )
        assert max(severities(service, taught)) < 2, "what was overturned is flagged no more"
        assert max(severities(service, LATER)) < 2, "nor is what is like it and was never seen"
        assert min(severities(service, (AD, ILLEGAL))) >= 2, "what was accepted still is"
