"""The site: make site. Sphinx reads the same Markdown files as the repository's own web view."""

import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT / "src"))

project, author, project_copyright = "undin", "The undin authors", "The undin authors"
version = release = re.search(r'^__version__ = "(.+)"', (ROOT / "src/undin/version.py").read_text(), re.M)[1]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "docs/index"
include_patterns = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/**", "src/undin/weights/*.md"]
exclude_patterns = [".*", "build", "dist", "tests", "checkpoints", "**/__pycache__", "src/undin/[!w]*"]
suppress_warnings = ["myst.header"]  # a section may begin two levels down
myst_heading_anchors = 3
nitpicky = True  # a reference that leads nowhere is an error
OTHERS = r"(np|npt|numpy|collections|pathlib|typing|datetime|matplotlib|os|Figure|Axes|File|dict).*"
INTERNAL = r"undin\.(cores|workers|corpora\.(readers|pack_file)|mixing\.augment\.fast_rooms)\..*"
WORDS = r".* .*|'.*'|Digest"  # choices of a Literal, and first lines of properties
nitpick_ignore_regex = [("py:.*", pattern) for pattern in (OTHERS, INTERNAL, WORDS)]
default_role = "literal"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_display_short_literal_types = True
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"undin {release}"
html_static_path = ["site"]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = False
pygments_style, pygments_dark_style = "friendly", "monokai"

# The menu: one list, so that the pages themselves stay plain Markdown. Pages of docs/ that it does not name are added
# to the guide.
MENU = {
    "Start": ["At a glance </README>"],
    "How-tos": [f"docs/howto/{name}" for name in ("podcast", "calls", "folder", "live", "train")],
    "Guide": [f"docs/{name}" for name in ("files", "streaming", "live", "server", "agents", "embed", "flow")],
    "Training and evaluation": [f"docs/{name}" for name in ("training", "augmentation", "evidence")],
    "Methods": [
        f"docs/{name}"
        for name in ("methods", "lull", "classical", "nmf", "dnn", "cmask", "mann", "talkers", "talkers-trap")
    ],
    "Results": ["docs/results", "docs/cards"],
    "Reference": ["docs/api", "docs/adr/README", "CONTRIBUTING", "CHANGELOG"],
}
BELOW = {
    "docs/cards": sorted((ROOT / "src/undin/weights").glob("*.md")),
    "docs/adr/README": sorted((HERE / "adr").glob("0*.md")),
}


def toctree(pages: list[str], caption: str = "") -> str:
    head = f":caption: {caption}\n" if caption else ""
    return (
        f"\n```{{toctree}}\n:hidden:\n{head}\n"
        + "\n".join(page if "<" in page else f"/{page}" for page in pages)
        + "\n```\n"
    )


def add_menu(app, name: str, source: list[str]) -> None:
    if name == root_doc:
        named = {page for pages in MENU.values() for page in pages} | {root_doc}
        found = {str(page.relative_to(ROOT).with_suffix("")) for page in HERE.glob("*.md")}
        groups = MENU | {"Guide": MENU["Guide"] + sorted(found - named)}
        source[0] += "".join(toctree(pages, caption) for caption, pages in groups.items())
    if name in BELOW:
        source[0] += toctree([str(page.relative_to(ROOT).with_suffix("")) for page in BELOW[name]])


def add_api(app, name: str, source: list[str]) -> None:
    """Replace `<!-- api: function undin.read -->` by the object's documentation."""

    def documented(match: re.Match[str]) -> str:
        kind, objects = match[1], match[2].split()
        options = "\n   :members:" if kind in ("class", "module") else ""
        return "```{eval-rst}\n" + "\n\n".join(f".. auto{kind}:: {o}{options}" for o in objects) + "\n```"

    source[0] = re.sub(r"<!-- api: (\w+) (.+?) -->", documented, source[0], flags=re.S)


def plain(app, what: str, name: str, obj, options, lines: list[str]) -> None:
    """Docstrings are plain text: bars and stars are not markup, and indented formulas keep their line breaks."""
    quoted = False
    for i, line in enumerate(lines):
        if line.startswith(">>>"):
            quoted = True
        elif not line:
            quoted = False
        if not quoted:
            lines[i] = re.sub(r"(`[^`]*`)|([|*])", lambda m: m[1] or "\\" + m[2], line)


def add_front_door(app, exception) -> None:
    page = '<!doctype html><title>undin</title><meta http-equiv="refresh" content="0; url=docs/index.html">'
    Path(app.outdir, "index.html").write_text(page + '<a href="docs/index.html">undin</a>\n')


def add_players(app, page: str, template: str, context: dict, doctree) -> None:
    """A player behind each link to a sound; intervals are not broken at their ±."""
    link = r'(<a class="reference download internal" download="" href="([^"]+\.ogg)">.*?</a>)'
    player = r'\1 <audio controls preload="none" src="\2"></audio>'
    context["body"] = re.sub(link, player, context.get("body", ""), flags=re.S).replace(" ± ", "&nbsp;±&nbsp;")


def setup(app) -> None:
    app.connect("source-read", add_menu)
    app.connect("source-read", add_api)
    app.connect("html-page-context", add_players)
    app.connect("autodoc-process-docstring", plain, priority=100)
    app.connect("build-finished", add_front_door)
