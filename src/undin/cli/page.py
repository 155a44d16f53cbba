"""`undin page`: a page that removes noise in the browser, as static files."""

from pathlib import Path
from typing import Annotated

from undin.cli import options as o
from undin.cli import show


def page(
    output: Annotated[Path, o.where("-o", "--output", metavar="DIR", help="Output folder.")] = Path("site"),
    overwrite: Annotated[bool, o.where("--overwrite", help="Replace existing files.")] = False,
    quiet: o.Quiet = False,
) -> int:
    """Write a web page that removes noise from files and the microphone in the browser.

    The page is static files for any web server; no audio leaves the visitor's computer.

    [dim]Write the page and open it at http://localhost:8000:[/]  undin page -o site/ && python -m http.server -d site/
    """
    from undin.errors import InputError
    from undin.native import write_page

    if output.exists() and not output.is_dir():
        raise InputError(f"{output} is a file: choose a folder for -o")
    if (output / "index.html").exists() and not overwrite:
        raise InputError(f"{output}/index.html already exists: use --overwrite, or choose another -o")
    with show.busy("writing the page; in a clone, compiling it takes a minute"):
        files = write_page(output)
    if not quiet:
        size = sum(path.stat().st_size for path in files) / 1e6
        show.say(f"{output}: {len(files)} files, {size:.1f} MB\nuse it:  python -m http.server -d {output}")
    return 0
