"""`/docs`: the documentation that comes with the server, as pages. Nothing but Markdown files below one folder."""

import asyncio
import re
from html import escape
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.pages import page

if TYPE_CHECKING:
    from markdown_it.token import Token


def folder() -> Path | None:
    """Where the documentation is: in the wheel beside this module, in a checkout at its root; null when nowhere."""
    for each in (Path(str(files("server") / "documentation")), Path(__file__).parents[2] / "docs"):
        if each.is_dir():
            return each
    return None


class Docs:
    """Which files there are is looked at when the first page is asked for; each is rendered once."""

    def __init__(self, where: Path | None) -> None:
        self._where = where
        self._files: dict[str, Path] | None = None
        self._rendered: dict[str, Response] = {}

    async def index(self, _: Request) -> Response:
        """All pages, by folder."""
        names = await self._names()
        if not names:
            return page(
                "Documentation", "<h1>Documentation</h1><p>It is not part of this installation.</p>", at="/docs"
            )
        titles = {name: await asyncio.to_thread(_title, path) for name, path in names.items()}
        folders: dict[str, list[str]] = {}
        for name in names:
            folders.setdefault(name.rpartition("/")[0], []).append(name)
        main = "<h1>Documentation</h1>"
        for place, inside in folders.items():
            heading = f"<h2>{escape(place)}</h2>" if place else ""
            rows = "".join(f'<li><a href="/docs/{escape(each)}">{escape(titles[each])}</a></li>' for each in inside)
            main += f"{heading}<ul>{rows}</ul>"
        return page("Documentation", main, cache="no-cache", at="/docs")

    async def show(self, request: Request) -> Response:
        """One page. Links between the files work as they are: a page is found with `.md` and without."""
        name: str = request.path_params["name"].strip("/")
        names = await self._names()
        if name not in names:
            if f"{name}.md" in names:
                return RedirectResponse(f"/docs/{name}.md", 308)
            return page("Not found", "<h1>Not found</h1><p>There is no such page.</p>", status=404)
        if name not in self._rendered:
            text = await asyncio.to_thread(names[name].read_text, encoding="utf-8")
            title, main = self.render(text)
            self._rendered[name] = page(f"{title} – Crossdock", main, cache="no-cache", at="/docs")
        return self._rendered[name]

    def render(self, text: str) -> tuple[str, str]:
        """Title and HTML of a file. Headings can be linked to, by the names that GitHub gives them."""
        from markdown_it import MarkdownIt  # most servers start without ever showing a page

        # no HTML of the author's own: what is shown is what Markdown makes
        markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
        tokens = markdown.parse(text)
        seen: dict[str, int] = {}
        title = ""
        for opening, inline in pairwise(tokens):
            if opening.type != "heading_open":
                continue
            plain = _plain(inline)
            title = title or plain
            slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
            seen[slug] = seen.get(slug, -1) + 1
            opening.attrSet("id", f"{slug}-{seen[slug]}" if seen[slug] else slug)
        html: str = markdown.renderer.render(tokens, markdown.options, {})
        return title or "Documentation", html

    async def _names(self) -> dict[str, Path]:
        if self._files is None:
            self._files = await asyncio.to_thread(_walk, self._where) if self._where is not None else {}
        return self._files


def _walk(where: Path) -> dict[str, Path]:
    found = {each.relative_to(where).as_posix(): each for each in where.rglob("*.md") if each.is_file()}
    return dict(sorted(found.items(), key=lambda item: (item[0].count("/"), item[0])))


def _title(path: Path) -> str:
    with path.open(encoding="utf-8") as lines:
        heading = next((line for line in lines if line.startswith("# ")), "")
    return heading[2:].strip() or path.stem


def _plain(inline: "Token") -> str:
    return "".join(child.content for child in inline.children or () if child.type in ("text", "code_inline"))
