"""The papers that parts name: BibTeX that can be read, facts that agree, and no part whose paper is left out."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from pybtex.database import parse_string

from lowshot import papers
from lowshot.citations import bibliography, entries_of
from lowshot.cli import run
from lowshot.errors import InputError
from lowshot.plugins import import_plugin
from lowshot.registry import CLASSIFIERS, REGISTRIES, Registry, take_parts

ENTRIES = [entry for registry in REGISTRIES.values() for entry in registry if entry.source.startswith("lowshot.")]
ARXIV = re.compile(r"\b\d{4}\.\d{5}\b|\b0\d{3}\.\d{4}\b")
PAPER = re.compile(r"arXiv|et al\.|\((?:19|20)\d\d[,)]|& [A-Z]\w+ \d{4}")
ONE = "@article{one2020,\n  author = {One, A.},\n  title = {First},\n  year = {2020},\n}"


def texts() -> list[str]:
    return [entry.bibtex for entry in ENTRIES]


def doc_of(factory: object) -> str:
    """What a part's class or function says of itself, up to its parameters."""
    return (inspect.getdoc(factory) or "").split("\nArgs:")[0]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_part_that_names_a_paper_carries_its_entry(entry):
    said = f"{entry.description}\n{doc_of(entry.factory)}"
    if PAPER.search(said):
        assert entry.bibtex
    assert set(ARXIV.findall(said)) <= set(ARXIV.findall(entry.bibtex))


def test_every_method_of_a_paper_is_cited():
    """All that lowshot has, but for the parts that come from no paper."""
    without = {entry.name for entry in ENTRIES if not entry.bibtex}
    data = {"auto", "coco_captions", "coco_detection", "csv_list", "glyphs", "image_folder", "image_zip", "json_list"}
    assert without == {"file", "difference", *data}


def test_a_key_means_one_paper():
    found: dict[str, str] = {}
    for text in texts():
        for key, entry in entries_of(text).items():
            assert found.setdefault(key, entry) == entry, key
    titles = [re.search(r"title = \{(.*?)\},\n", entry, re.DOTALL)[1] for entry in found.values()]
    assert len(set(titles)) == len(titles)


def test_another_reader_of_bibtex_reads_the_same():
    text = bibliography(texts())
    read = parse_string(text, "bibtex")
    assert list(read.entries) == list(entries_of(text))
    for key, entry in read.entries.items():
        assert {"title", "year"} <= set(entry.fields), key
        assert entry.persons["author"], key
        year = int(entry.fields["year"])
        first = entry.persons["author"][0].last_names
        if key != "torchvision2016":
            assert key.startswith(re.sub("[^a-z]", "", first[-1].lower())), key
        assert str(year) in key
        if "eprint" in entry.fields:
            assert entry.fields["archivePrefix"] == "arXiv"
            assert ARXIV.fullmatch(entry.fields["eprint"]), key
            assert 0 <= year - 2000 - int(entry.fields["eprint"][:2]) <= 2, key  # printed up to two years later


def test_the_shared_papers_are_used():
    shared = {name: text for name, text in vars(papers).items() if name.isupper()}
    for name, text in shared.items():
        for entry in entries_of(text).values():
            assert sum(entry in used for used in texts()) > 1, name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Doe 2020", "expected an entry such as @article"),
        ("@article{a, title = {x}", "braces of the entry 'a' do not match"),
        ("@article{, title = {x}}", "expected an entry"),
        (f"{ONE} and more", "found 'and more'"),
        (f"{ONE}\n{ONE}", "two entries have the key 'one2020'"),
        ("@comment{a, b}", "found @comment"),
    ],
)
def test_what_is_no_bibtex_is_refused_with_the_part(text, message):
    registry = Registry("colour", "lowshot.test_colours", "lowshot.cli")
    with pytest.raises(InputError, match=f"bibtex of colour 'red': .*{re.escape(message)}"):
        registry.register("red", "a colour", bibtex=text)


def test_entries_are_gathered_once_and_different_ones_of_a_key_kept_apart():
    other = ONE.replace("First", "Second")
    assert bibliography([ONE, "", ONE]) == f"{ONE}\n"
    both = bibliography([ONE, other, ONE, other])
    assert list(entries_of(both)) == ["one2020", "one2020_2"]
    assert list(parse_string(both, "bibtex").entries) == ["one2020", "one2020_2"]
    assert bibliography([]) == ""


def test_braces_in_a_title_and_indentation_are_no_matter():
    entry = "    @misc{a1,\n      title = {{A} {\\'e} \\{ b},\n    }\n"
    assert entries_of(entry) == {"a1": "@misc{a1,\n  title = {{A} {\\'e} \\{ b},\n}"}


def test_list_prints_the_papers_of_parts_and_plug_ins(tmp_path: Path, capsys):
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "from lowshot.classifiers import NearestMean\nfrom lowshot.registry import CLASSIFIERS\n"
        f'@CLASSIFIERS.register("mine_cited", "mine", bibtex="""{ONE}""")\nclass Mine(NearestMean): ...\n'
    )
    assert run(["list", "classifiers", "--bibtex", "--match", "mine*", "--plugins", str(plugin)]) == 0
    assert capsys.readouterr().out == f"{ONE}\n"
    assert run(["list", "--bibtex"]) == 0
    assert entries_of(bibliography(texts())).keys() <= parse_string(capsys.readouterr().out, "bibtex").entries.keys()
    assert run(["list", "recipes", "--bibtex"]) == 2
    assert "names a paper" in capsys.readouterr().err
    entry = CLASSIFIERS.entry("mine_cited")
    assert entry.bibtex == ONE
    take_parts(entry.module)


def test_a_plug_in_with_broken_bibtex_is_refused(tmp_path: Path):
    plugin = tmp_path / "broken.py"
    plugin.write_text(
        "from lowshot.classifiers import NearestMean\nfrom lowshot.registry import CLASSIFIERS\n"
        '@CLASSIFIERS.register("uncited", "mine", bibtex="Me 2026")\nclass Mine(NearestMean): ...\n'
    )
    with pytest.raises(InputError, match="bibtex of classifier 'uncited'"):
        import_plugin(plugin)
