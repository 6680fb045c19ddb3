"""What the docs point at is there: files, headings, and each room of the package in the plan of the house."""

import ast
import re
import shlex
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "annofree"
PAGES = sorted(
    page for pattern in ("*.md", "docs/*.md", "src/**/*.md", "examples/**/*.md") for page in ROOT.glob(pattern)
)
GUIDES = [ROOT / "docs/architecture.md", ROOT / "docs/where_to_change.md", ROOT / "CONTRIBUTING.md"]


def anchors(page: Path) -> set[str]:
    """The names that the headings of a page can be linked by."""
    headings = re.findall(r"^#+ +(.*)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in link:
            continue
        file, _, heading = link.partition("#")
        target = (page.parent / file) if file else page
        assert target.exists(), link
        assert not heading or heading in anchors(target), link


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
def test_every_path_named_exists(page: Path) -> None:
    for line in page.read_text().splitlines():
        names = [name.split()[0] for name in re.findall(r"`([^`<>]+)`", line) if name.strip()]
        folders = [PACKAGE / name for name in names if name.endswith("/")]
        folders += [(PACKAGE / name).parent for name in names if name.endswith(".py") and "/" in name]
        for name in names:
            if name.startswith("..") or not re.fullmatch(r"[\w./\-]*(/|\.py|\.md)", name):
                continue
            assert any((place / name).exists() for place in (ROOT, PACKAGE, *folders)), f"{name} in: {line}"


def test_the_plan_names_every_room() -> None:
    floors = (ROOT / "docs/architecture.md").read_text().split("## Floors")[1]
    rooms = [f"{room.name}/" for room in PACKAGE.iterdir() if room.is_dir()] + [m.name for m in PACKAGE.glob("*.py")]
    missing = [room for room in rooms if not room.startswith("__") and f"`{room}`" not in floors]
    assert sorted(missing) == []


def code(page: Path, *kinds: str) -> list[str]:
    """What stands in the code blocks of a page, of those kinds."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [text for kind, text in found if kind in kinds]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_has_the_verb_and_the_options_that_it_names(page: Path) -> None:
    from typer.main import get_command

    from annofree.cli.main import VERBS, app

    group: Any = get_command(app)
    for line in "\n".join(code(page, "", "sh", "bash", "console")).replace("\\\n", " ").splitlines():
        for command in re.findall(r"(?:^|&&)[\s$]*(annofree [^&]*)", line.partition("#")[0]):
            assert not re.search(r"\S {2,}\S", command), f"a comment without its #: {line}"
            words = shlex.split(command)
            if words[1].startswith("-"):
                continue
            assert words[1] in VERBS, line
            parameters = group.get_command(None, words[1]).params
            known = {"--help", "-h"} | {opt for p in parameters for opt in (*p.opts, *p.secondary_opts)}
            asked = {word.partition("=")[0] for word in words[2:] if re.match(r"--?[a-z]", word)}
            assert asked <= known, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_snippet_can_be_read_and_imports_what_is_there(page: Path) -> None:
    for text in code(page, "python"):
        check_imports(text)


@pytest.mark.parametrize("script", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda script: script.name)
def test_every_benchmark_imports_what_is_there(script: Path) -> None:
    check_imports(script.read_text(encoding="utf-8"))


def check_imports(text: str) -> None:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("annofree"):
            module = import_module(str(node.module))
            missing = [alias.name for alias in node.names if not hasattr(module, alias.name)]
            modules = [f"{node.module}.{name}" for name in missing]
            assert all(find_spec(name) for name in modules), f"{missing} in {node.module}"
