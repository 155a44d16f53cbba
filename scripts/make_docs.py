"""Make the docs' pictures and tables: python scripts/make_docs.py

The pages' own Python blocks are run in a separate folder and create the pictures. Text between
`<!-- table: NAME -->` and `<!-- end -->` is replaced by the table that a benchmark prints from its results; some draw
pictures of theirs as well.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from itertools import groupby
from pathlib import Path

import undin
import undin.cli

ROOT = Path(__file__).parents[1]
PLOTS = (
    "benchmarks.quality.cmask --plot",
    "benchmarks.speed.live_cost --plot",
    "benchmarks.quality.lull_curve",
    "benchmarks.quality.dnn --plot",
    "benchmarks.quality.mann --plot",
    "benchmarks.quality.first_picture",
)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs/howto").glob("*.md"))]
BRING_THEIR_SOUND = {  # these make the recordings that they use
    *(f"docs/{name}.md" for name in ("augmentation", "cmask", "dnn", "flow", "lull", "mann", "talkers-trap")),
    *(f"docs/howto/{name}.md" for name in ("podcast", "calls", "folder", "live", "train")),
}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
PICTURE = re.compile(r"\((pictures/.+?\.png|sounds/.+?\.ogg)\)")
TABLE = re.compile(r"(<!-- table: (.+?) -->\n).*?(<!-- end -->)", re.S)
NOT_RUN = ("pip ", ". .venv/", "make ", "git ", "python -m benchmarks", "python scripts/")  # checked by other means


def blocks(page: Path, *languages: str) -> list[tuple[str, str]]:
    """(language, code) of the page's fenced blocks in these languages."""
    return [(language, code) for language, code in BLOCK.findall(page.read_text()) if language in languages]


def prepare(folder: Path) -> None:
    """Put the recordings there that the pages speak of."""
    corpus = undin.corpora.mini()
    train, test = corpus.select(split="train"), corpus.select(split="test")
    for name in ("in/monday", "speech", "noise", "anna", "ben"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    clean, noise = test.load(test.speech[0]), test.load(test.noise[0])
    noisy = undin.mixing.mix(clean, noise, snr_db=5.0).noisy
    for name in ("noisy.wav", "a.wav", "in/one.wav", "in/monday/two.flac"):
        undin.write(folder / name, noisy, corpus.sr)
    for i, clip in enumerate(train.speech[:4]):
        undin.write(folder / f"speech/{i}.wav", train.load(clip), corpus.sr)
    undin.write(folder / "noise/0.wav", train.load(train.noise[0]), corpus.sr)
    talkers = sorted({clip.speaker for clip in train.speech})[:2]
    for name, talker in zip(("anna", "ben"), talkers, strict=True):
        for i, clip in enumerate(train.select(speaker=talker).speech[:2]):
            undin.write(folder / f"{name}/{i}.wav", train.load(clip), corpus.sr)
    a, b = (undin.read(folder / f"{name}/0.wav")[0] for name in ("anna", "ben"))
    n_samples = min(a.size, b.size)
    for name in ("talk.flac", "both.wav"):
        undin.write(folder / name, (a[:n_samples] + b[:n_samples]) / 2, corpus.sr)


def words(line: str) -> list[str]:
    """The words of a line that only calls undin; none of what needs a shell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    found = list(lexer)
    return found if found[:1] == ["undin"] and not set("();<>|&*?$`\\") & set("".join(found)) else []


def run_shell(code: str) -> None:
    """Run a block's lines: calls of undin in this process, which has imported it already, all others in a shell.

    Raises:
        subprocess.CalledProcessError: a line failed.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    lines = [line for line in code.splitlines() if line and not line.startswith(NOT_RUN)]
    for ours, group in groupby(lines, lambda line: bool(words(line))):
        if not ours:
            script = "set -e\n" + "\n".join(group)
            subprocess.run(["bash", "-c", script], check=True, env={**os.environ, "PATH": path}, timeout=600)
        for line in group if ours else ():
            try:
                undin.cli.main(words(line)[1:])
            except SystemExit as ended:
                if ended.code:
                    raise subprocess.CalledProcessError(int(ended.code), line) from None


def run_page(page: Path, folder: Path) -> None:
    """Run the page's Python blocks, in order and in one namespace, and its shell lines, in `folder`.

    Raises:
        Exception: what a block raised.
        subprocess.CalledProcessError: a shell block failed.
    """
    before, namespace = Path.cwd(), {"__name__": "__main__"}
    os.chdir(folder)
    try:
        for language, code in blocks(page, "python", "sh"):
            if language == "python":
                exec(compile(code, str(page), "exec"), namespace)
            else:
                run_shell(code)
    finally:
        os.chdir(before)


def fill_tables(page: Path) -> None:
    """Replace the page's tables by what `python -m benchmarks.NAME --table` prints."""

    def made(match: re.Match[str]) -> str:
        command = [sys.executable, "-m", *match[2].split(), "--table"]
        table = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout.strip()
        return f"{match[1]}\n{table}\n\n{match[3]}"

    page.write_text(TABLE.sub(made, page.read_text()))


def shrink(picture: Path, target: Path) -> None:
    """Save a picture with 256 colors, a fifth of the bytes."""
    from PIL import Image

    Image.open(picture).convert("RGB").quantize(256, Image.Quantize.MEDIANCUT).save(target, optimize=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        for page in PAGES:
            run_page(page, Path(folder))
            fill_tables(page)
        shown = {Path(name) for page in PAGES for name in PICTURE.findall(page.read_text())}
        for picture in sorted(shown, key=str):
            if (made := Path(folder, picture.name)).exists():  # others are made by benchmarks
                (shrink if picture.suffix == ".png" else shutil.copyfile)(made, ROOT / "docs" / picture)
                print(f"docs/{picture}")
    for benchmark in PLOTS:
        subprocess.run([sys.executable, "-m", *benchmark.split()], check=True, cwd=ROOT)
    subprocess.run([sys.executable, "scripts/diagrams.py"], check=True, cwd=ROOT)


if __name__ == "__main__":
    main()
