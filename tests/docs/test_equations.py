"""The pages of equations name files, functions and tests that are there."""

import ast
import re

import pytest
from checkout import ROOT

PAGES = ("vae", "mmali")
NAMED = re.compile(r"`(?P<file>(?:mmtf|tests)/[\w/]+(?:\.py|/)?)(?:: (?P<names>\w+))?`(?P<more>(?:, `\w+`)*)")


def text(page):
    return (ROOT / f"docs/equations/{page}.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tests():
    return "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "tests").rglob("*.py"))


@pytest.mark.parametrize("page", PAGES)
def test_files_and_functions_are_there(page):
    found = list(NAMED.finditer(text(page)))
    assert len(found) > 10
    for match in found:
        path = ROOT / match["file"]
        assert path.exists(), match[0]
        for name in filter(None, [match["names"], *re.findall(r"\w+", match["more"])]):
            assert re.search(rf"\b{name}\b", path.read_text(encoding="utf-8")), f"{match['file']} has no {name}"


@pytest.mark.parametrize("page", PAGES)
def test_tests_are_there(page, tests):
    named = re.findall(r"`(test_\w+?)(?:\.\.\.)?`", text(page))
    assert len(named) > 10
    assert [name for name in named if f"def {name}" not in tests] == []


@pytest.mark.parametrize(("mark", "authors"), [("[S]", "Sutter"), ("[C]", "Chen")])
def test_a_module_that_cites_a_paper_says_once_which_it_is(mark, authors):
    silent = []
    for path in (ROOT / "mmtf").rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        if mark in source and authors not in (ast.get_docstring(ast.parse(source)) or ""):
            silent.append(path.name)
    assert silent == []
