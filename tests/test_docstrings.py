"""Public functions of three or more arguments say what each argument is."""

import ast
import inspect
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import undin
from undin.cli import app

SRC = Path(undin.__file__).parent
COMMANDS = {info.callback.__name__: info.callback for info in app.registered_commands}
HOOKS = {"Callback", "LightningModule"}  # bases whose methods take the arguments that Lightning gives them


class Function(NamedTuple):
    """A public function or method: where it is, its arguments besides self, its docstring."""

    place: str
    arguments: list[str]
    doc: str


def functions(body: list[ast.stmt], place: str) -> Iterator[Function]:
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            if not HOOKS & {ast.unparse(base).rpartition(".")[2] for base in node.bases}:
                yield from functions(node.body, f"{place}.{node.name}")
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            a = node.args
            names = [each.arg for each in (*a.posonlyargs, *a.args, *a.kwonlyargs) if each.arg not in ("self", "cls")]
            yield Function(f"{place}.{node.name}", names, ast.get_docstring(node) or "")


def described(doc: str) -> dict[str, str]:
    """Argument -> its text, of the section Args of a docstring; a line may describe several: `x, y: text`."""
    found: dict[str, str] = {}
    section = doc.partition("Args:\n")[2].partition("\n\n")[0]
    for line in section.splitlines():
        if line.startswith("    ") and not line.startswith("     "):
            names, _, text = line.strip().partition(": ")
            found |= dict.fromkeys(names.split(", "), text.strip())
        elif not line.startswith("    "):
            break
    return found


def undescribed(function: Function) -> list[str]:
    texts = described(function.doc)
    return [name for name in function.arguments if len(texts.get(name, "")) < 3]


PUBLIC = [
    function
    for path in sorted(SRC.glob("**/*.py"))
    for function in functions(ast.parse(path.read_text(encoding="utf-8")).body, path.relative_to(SRC).as_posix())
    if len(function.arguments) >= 3 and not (path.parent.name == "cli" and path.stem == function.place.split(".")[-1])
]


def test_there_are_functions_to_check():
    assert len(PUBLIC) > 150


@pytest.mark.parametrize("function", PUBLIC, ids=lambda function: function.place)
def test_every_argument_is_described(function):
    assert undescribed(function) == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_has_a_help_text(name):
    hints = typing.get_type_hints(COMMANDS[name], include_extras=True)
    for argument in inspect.signature(COMMANDS[name]).parameters:
        if argument != "context":
            assert len(hints[argument].__metadata__[0].help) > 3, argument


@pytest.mark.parametrize(
    "doc", ["Do it.", "Do it.\n\nArgs:\n", "Do it.\n\nArgs:\n    x: \n", "Do it.\n\nArgs:\n    y: it."]
)
def test_an_empty_section_is_not_enough(doc):
    assert undescribed(Function("f", ["x"], doc)) == ["x"]
