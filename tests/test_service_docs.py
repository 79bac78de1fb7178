"""The documentation of the service: every example runs, every route and error code is there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from serving import AD, CLEAN, ROOT, Running

INTEGRATION = (ROOT / "docs/integration.md").read_text(encoding="utf-8")
SERVICE = (ROOT / "docs/service.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
BIN = Path(sys.executable).parent
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{BIN}:{os.environ['PATH']}",
    "NO_PROXY": "*",
    "PYTHONPATH": str(ROOT),
    "PYTHONUTF8": "1",
}


def examples(*kinds: str) -> list[tuple[str, str, str]]:
    """Examples with the lines that their output must hold."""
    found = BLOCK.findall(INTEGRATION)
    pairs = []
    for i, (kind, body) in enumerate(found):
        if kind in kinds:
            assert found[i + 1][0] == "text", "an example without its output"
            pairs.append((kind, body, found[i + 1][1]))
    return pairs


@pytest.mark.parametrize(("kind", "body", "wanted"), examples("bash", "python"))
def test_an_example_gives_what_is_written_below_it(
    service: Running, tmp_path, kind: str, body: str, wanted: str
) -> None:
    shutil.copy(ROOT / "data/examples/page.html", tmp_path / "page.html")
    body = body.replace("http://127.0.0.1:8000", service.local)
    # A site for the crawl; Scrapy believes what a page says of its encoding, and that of the example is wrong.
    site = tmp_path / "site.html"
    site.write_text((tmp_path / "page.html").read_text(encoding="utf-8").replace("gbk", "utf-8"), encoding="utf-8")
    body = body.replace("https://example.com/", site.as_uri())
    if "/v1/appeals" in body:
        # What the first example has sent.
        service.post("/v1/check", {"text": AD, "dataId": "post-17"})
    program = ["bash", "-euo", "pipefail", "-c", body] if kind == "bash" else [sys.executable, "-c", body]
    done = subprocess.run(
        program, capture_output=True, text=True, cwd=tmp_path, env=ENVIRONMENT, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    if kind == "bash":
        for line in wanted.splitlines():
            assert line in done.stdout
    else:
        assert done.stdout == wanted


def test_all_promised_examples_are_there() -> None:
    assert len(examples("bash")) == 5
    assert len(examples("python")) == 3
    assert [kind for kind, _ in BLOCK.findall(INTEGRATION)].count("yaml") == 2


def yaml_block(word: str) -> str:
    (body,) = [body for kind, body in BLOCK.findall(INTEGRATION) if kind == "yaml" and word in body]
    return body


def git(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *args],
        cwd=folder, capture_output=True, text=True, env={**ENVIRONMENT, "HOME": str(folder)}, timeout=60, check=False,
    )  # fmt: skip


def test_pre_commit_stops_a_commit(tmp_path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / ".pre-commit-config.yaml").write_text(yaml_block("repo: local"), encoding="utf-8")
    assert subprocess.run([BIN / "pre-commit", "install"], cwd=tmp_path, env={**ENVIRONMENT, "PRE_COMMIT_HOME": str(tmp_path / ".cache")}, capture_output=True, check=False).returncode == 0  # fmt: skip
    (tmp_path / "good.md").write_text(CLEAN + "\n", encoding="utf-8")
    git(tmp_path, "add", "good.md", ".pre-commit-config.yaml")
    good = git(tmp_path, "commit", "-m", "good")
    assert good.returncode == 0, good.stdout + good.stderr
    (tmp_path / "bad.md").write_text(f"# 标题\n\n{AD}\n", encoding="utf-8")
    git(tmp_path, "add", "bad.md")
    bad = git(tmp_path, "commit", "-m", "bad")
    assert bad.returncode == 1
    assert "bad.md:line 3" in bad.stdout + bad.stderr
    assert git(tmp_path, "log", "--format=%s").stdout == "good\n"


def test_the_hook_of_this_repository_runs_what_exists(tmp_path) -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    page = tmp_path / "x.md"
    page.write_text(AD, encoding="utf-8")
    done = subprocess.run([*hook["entry"].split(), str(page)], capture_output=True, env=ENVIRONMENT, check=False)
    assert done.returncode == 1


def test_github_annotations(tmp_path) -> None:
    workflow = yaml.safe_load(yaml_block("runs-on"))
    command = workflow["jobs"]["loanlint"]["steps"][-1]["run"]
    (tmp_path / "texts.txt").write_text(f"{CLEAN}\n{AD}\n", encoding="utf-8")
    done = subprocess.run(command.split(), capture_output=True, text=True, cwd=tmp_path, env=ENVIRONMENT, check=False)
    assert done.returncode == 1
    assert re.fullmatch(r"::warning file=texts\.txt,line=2,col=\d+,title=loanlint::misleading .*\n", done.stdout)


def test_every_route_and_error_code_is_documented() -> None:
    from pipeline.service.metrics import ROUTES
    from pipeline.service.problems import messages

    for route in ROUTES:
        if route.startswith("/"):
            assert f" {route}`" in SERVICE or f"`{route}`" in SERVICE
    sources = [*ROOT.glob("pipeline/service/*.py"), ROOT / "pipeline/cli/serve.py"]
    codes = {code for file in sources for code in re.findall(r'"(E_[A-Z_]+)"', file.read_text(encoding="utf-8"))}
    codes |= {message.code for message in messages().values()}
    documents = SERVICE + (ROOT / "docs/review.md").read_text(encoding="utf-8")
    assert len(codes) > 20
    for code in codes - {"E_INPUT", "E_USAGE"}:
        assert f"`{code}`" in documents, code


def test_commands_in_the_documentation_exist(tmp_path) -> None:
    lines = [line.split("#")[0].strip() for line in SERVICE.split("\n") if line.startswith("loanlint ")]
    assert len(lines) > 10
    from pipeline.cli import root

    for line in lines:
        context = root.make_context("loanlint", line.split()[1:], resilient_parsing=True)
        command = root
        args = line.split()[1:]
        while hasattr(command, "get_command"):
            found = command.get_command(context, args[0])
            assert found is not None, line
            command, args = found, args[1:]
        known = {name for p in command.params for name in (*p.opts, *p.secondary_opts)}
        for word in args:
            if word.startswith("--"):
                assert word in known, (line, word)
