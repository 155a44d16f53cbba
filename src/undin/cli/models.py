"""`undin models`: list the models and show their details."""

import json as json_
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from undin.cli import show

if TYPE_CHECKING:
    from undin.methods.base import Method


def models(
    name: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="Method id or model file; shows its model card.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per model.")] = False,
) -> None:
    """List the methods with their summary, delay and size.

    [dim]All methods:[/]  undin models

    [dim]One method with its settings:[/]  undin models log-mmse
    """
    from undin.methods import METHODS, load

    names = list(METHODS) if name is None else [name]
    rows = [_row(each, load(each)) for each in names]
    if json:
        for row in rows:
            print(json_.dumps(row, default=str))
    elif name is None:
        _table(rows)
    else:
        _card(rows[0])


def _row(name: str, method: "Method") -> dict[str, Any]:
    return {
        "id": name,
        "causal": method.causal,
        "latency_ms": method.latency_ms,
        **asdict(method.card),
        **_file(method),
        "config": asdict(method.config),
    }


def _file(method: "Method") -> dict[str, Any]:
    """Size of a learned method's file, and how its weights are stored in it."""
    runner = getattr(method, "runner", None)
    return {} if runner is None else {"bytes": runner.n_bytes, "weights": runner.meta["weights"]}


def _table(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("id", "kind", "delay", "parameters", "summary"):
        table.add_column(column, justify="right" if column == "parameters" else "left", no_wrap=column != "summary")
    for row in rows:
        table.add_row(row["id"], row["kind"], _delay(row), f"{row['parameters']:,}", row["summary"])
    console = show.console()
    console.print(table)
    console.print(
        "\n[dim]undin models ID shows the card with license, data and source;[/] undin enhance -m ID [dim]uses it.[/]"
    )


def _card(row: dict[str, Any]) -> None:
    from rich.table import Table

    card = Table(box=None, pad_edge=False, show_header=False)
    card.add_column(style="bold")
    card.add_column()
    for name, value in {**row, "latency_ms": _delay(row)}.items():
        if name not in ("causal", "config") and value not in (0, ""):
            card.add_row(
                name.removesuffix("_ms").replace("licence", "license"),
                f"{value:,}" if isinstance(value, int) else str(value),
            )
    title = "made with" if "bytes" in row else "settings (--set)"  # a graph has fixed settings
    for i, (name, value) in enumerate(row["config"].items()):
        card.add_row("" if i else title, f"{name}={value}")
    show.console().print(card)


def _delay(row: dict[str, Any]) -> str:
    return f"{row['latency_ms']:g} ms" if row["causal"] else "whole signal"
