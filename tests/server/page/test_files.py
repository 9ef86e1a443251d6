"""The files of the page: nothing inline, nothing from elsewhere, no text as HTML, no file missing or unused."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import lowshot

PAGE = Path(lowshot.__file__).parent / "server" / "page"
MODULES = sorted((PAGE / "app").glob("*.js"))
STYLES = sorted((PAGE / "style").glob("*.css"))


class Tags(HTMLParser):
    """The tags of a page with their attributes, and the text inside scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inline = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] in ("script", "style"):
            self.inline += data.strip()


def test_the_page_has_no_inline_script_or_style_and_refers_to_its_own_files_alone() -> None:
    parsed = Tags()
    parsed.feed((PAGE / "index.html").read_text(encoding="utf-8"))
    assert not parsed.inline
    for tag, attributes in parsed.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], tag
        for name in ("src", "href"):
            target = attributes.get(name)
            if target and not target.startswith("#") and target != "docs":
                assert target.startswith("page/")
                assert (PAGE / target.removeprefix("page/")).is_file(), target


def test_no_module_makes_html_or_code_of_text() -> None:
    unsafe = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|srcdoc|setHTML"
    )
    for module in MODULES:
        assert not unsafe.search(module.read_text(encoding="utf-8")), module.name


def test_nothing_is_loaded_from_elsewhere() -> None:
    for path in [*MODULES, *STYLES]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"""["'(]\s*(https?:)?//""", text), path.name
        assert "@import" not in text


def test_every_module_is_imported_and_every_imported_name_is_exported() -> None:
    imported = {"main.js", "theme.js"}
    for module in MODULES:
        text = module.read_text(encoding="utf-8")
        for names, target in re.findall(r"import \{([^}]+)\} from \"\./([^\"]+)\"", text):
            imported.add(target)
            source = (PAGE / "app" / target).read_text(encoding="utf-8")
            exported = set(re.findall(r"export (?:async )?(?:function|class|const|let) (\w+)", source))
            used = {name.strip() for name in names.split(",") if name.strip()}
            assert used <= exported, (module.name, target, used - exported)
            for name in used:
                assert len(re.findall(rf"\b{re.escape(name)}\b", text)) > 1, f"{module.name} does not use {name}"
    assert imported == {module.name for module in MODULES}


def test_every_icon_exists_and_is_used() -> None:
    icons = {path.stem for path in (PAGE / "icons").glob("*.svg")} - {"mark"}
    rules = set(re.findall(r"\.icon-(\w+) ", (PAGE / "style" / "icons.css").read_text(encoding="utf-8")))
    assert rules == icons
    everything = "".join(path.read_text(encoding="utf-8") for path in [*MODULES, PAGE / "index.html"])
    for name in icons:
        assert re.search(rf"\"{name}\"|icon-{name}\b", everything), name
