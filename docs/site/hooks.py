"""Differences between docs/ on a forge and the site: pages of the root folder, links to code, figures in two themes."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
TABLES = ("results/cifar100-tables.md",)
"""Pages of numbers alone, which a search would find for every word of their rows."""
ROLE = re.compile(r":(?:class|func|meth|data|mod|attr|exc):<code>([^<]*)</code>")
LINK = re.compile(r"(?P<before>!?\[(?P<text>[^\]]*)\]\()(?P<target>[^)#\s:]*)(?P<anchor>#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of the root folder under their names in the site."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=for_the_site((ROOT / source).read_text("utf-8"), source)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turn a page as a forge shows it into one of the site."""
    if page.file.src_uri not in PAGES.values():
        markdown = for_the_site(markdown, f"docs/{page.file.src_uri}")
    if page.file.src_uri in TABLES:
        page.meta["search"] = {"exclude": True}
    markdown = re.sub(r"^```(\w+) no-run$", r"```\1", markdown, flags=re.MULTILINE)
    return in_two_themes(markdown, page.file, files)


def on_page_content(html: str, page: Any, config: Any, files: Files) -> str:
    """Show the roles of docstrings, such as ``:class:`~lowshot.data.Setup```, as the names that they stand for."""
    return ROLE.sub(lambda role: f"<code>{_shown(role[1])}</code>", html)


def _shown(name: str) -> str:
    """The last part of a name with a tilde, as Sphinx shows it."""
    return name.rpartition(".")[2].removeprefix("~") if name.startswith("~") else name


def for_the_site(markdown: str, source: str) -> str:
    """Rewrite the links of a page that lead out of docs/.

    Args:
        markdown (str): The text of the page.
        source (str): The path of the page in the repository.

    Returns:
        The text. A link to a page of the root folder leads to its page in the site, and a link to anything else
        outside docs/, such as code, is left as text.
    """
    folder = posixpath.dirname(PAGES.get(source, source.removeprefix("docs/")))

    def rewritten(link: re.Match[str]) -> str:
        target = link["target"]
        if not target:
            return link[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if path.startswith("docs/"):
            path = path.removeprefix("docs/")
        elif path in PAGES:
            path = PAGES[path]
        else:
            return link["text"]
        if path == "results":
            path = "results/cifar100.md"
        return f"{link['before']}{posixpath.relpath(path, folder or '.')}{link['anchor'] or ''})"

    return "".join(part if part.startswith("```") else LINK.sub(rewritten, part) for part in _parts(markdown))


def _parts(markdown: str) -> list[str]:
    """The text in pieces, of which every block of code is one."""
    return re.split(r"(^```.*?^```$)", markdown, flags=re.DOTALL | re.MULTILINE)


def in_two_themes(markdown: str, file: File, files: Files) -> str:
    """Show a figure ``X.svg`` that has a companion ``X-dark.svg`` in the one that fits the page's colours."""

    def both(image: re.Match[str]) -> str:
        alt, light = image[1], image[2]
        stem, dot, suffix = light.rpartition(".")
        dark = f"{stem}-dark{dot}{suffix}"
        if files.get_file_from_path(posixpath.normpath(posixpath.join(posixpath.dirname(file.src_uri), dark))) is None:
            return image[0]
        return f"![{alt}]({light}#only-light)![{alt}]({dark}#only-dark)"

    return re.sub(r"!\[([^\]]*)\]\(([^)#\s:]+)\)", both, markdown)
