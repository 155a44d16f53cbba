"""`undin live`: from a microphone to a speaker or a virtual microphone."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Annotated

from undin.cli import options as o
from undin.cli import show
from undin.cli.enhance import LIVE_METHOD
from undin.errors import InputError

if TYPE_CHECKING:
    from undin.live.devices import Device
    from undin.live.loop import Screen

DEVICE = "device: its number or part of its name, as in --list."


def live(
    list: Annotated[bool, o.where("--list", help="List the sound devices and exit.")] = False,
    input: Annotated[
        str | None,
        o.where("-i", "--input", metavar="DEVICE", help=f"Input {DEVICE}", show_default="the default microphone"),
    ] = None,
    output: Annotated[
        str | None,
        o.where("-o", "--output", metavar="DEVICE", help=f"Output {DEVICE}", show_default="the default speaker"),
    ] = None,
    virtual: Annotated[
        bool, o.where("--virtual", help="Offer the enhanced audio to other programs as a microphone (Linux).")
    ] = False,
    rate: Annotated[
        int | None,
        o.where(min=4000, max=384_000, metavar="HZ", help="Sample rate.", show_default="that of the input device"),
    ] = None,
    channels: Annotated[
        int | None,
        o.where(min=1, max=2, metavar="N", help="1 for mono, 2 for stereo.", show_default="those of the input device"),
    ] = None,
    buffer: Annotated[
        float,
        o.where(
            min=1,
            max=500,
            metavar="MS",
            help="Input buffer, output buffer and reserve, each. Raise it if there are dropouts; it adds to the delay.",
        ),
    ] = 20,
    method: Annotated[str, o.how("-m", "--method", metavar="MODEL", help=o.MODEL_HELP)] = LIVE_METHOD,
    limit_db: o.LimitDb = None,
    compiled: Annotated[
        bool,
        o.how(
            "--compiled",
            help="Run the network as compiled C, which takes less CPU. The first start needs a C compiler.",
        ),
    ] = False,
    quiet: Annotated[bool, o.shown("-q", "--quiet", help="Hide the level meters.")] = False,
) -> None:
    """Remove noise from a microphone while you speak.

    Keys: m mutes, space switches between raw and enhanced audio, q quits.

    [dim]Listen on headphones:[/]  undin live

    [dim]Use the enhanced audio as a microphone in other programs:[/]  undin live --virtual
    """
    from undin.live import Controls, SoundCard, run, sound_devices, virtual_microphone
    from undin.live.virtual import move_playback
    from undin.methods import load
    from undin.native import Compiled

    if list:
        return _print_devices(sound_devices())
    if virtual and output is not None:
        raise InputError("--virtual plays to the virtual microphone: leave out --output")
    with suppress(KeyboardInterrupt), ExitStack() as stack:
        if virtual:
            name = stack.enter_context(virtual_microphone(default_input=input is None))
            show.say(f"virtual microphone: {name}")
        card = SoundCard(input, output, sr=rate, n_channels=channels, buffer_s=buffer / 1e3)
        controls = Controls(limit_db=limit_db)
        screen, keys = _terminal(stack, quiet)
        opened = move_playback if virtual else lambda: None
        network = Compiled(method, say=partial(show.say, stderr=True)) if compiled else load(method)
        run(card, network, controls, screen, keys=keys, opened=opened, reserve_s=buffer / 1e3)


def _terminal(stack: ExitStack, quiet: bool) -> "tuple[Screen, Callable[[], str]]":
    """Meters and keys where there is a terminal; else only lines of text."""
    from undin.live import Quiet
    from undin.live.keys import pressed_keys
    from undin.live.screen import Meters

    console = show.console()
    keys = stack.enter_context(pressed_keys())
    if quiet or not console.is_terminal:
        return Quiet(show.say), keys
    return stack.enter_context(Meters(console)), keys


def _print_devices(devices: "Sequence[Device]") -> None:
    from rich.table import Table

    if not devices:
        return show.say("no sound devices found")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "device", "system", "in", "out", "rate", "default"):
        table.add_column(column, justify="right" if column in ("", "in", "out", "rate") else "left")
    for device in devices:
        default = " and ".join(
            side for side, is_it in zip(("input", "output"), device.is_default, strict=True) if is_it
        )
        counts = (str(device.n_in or ""), str(device.n_out or ""))
        table.add_row(str(device.index), device.name, device.host, *counts, f"{device.sr} Hz", default)
    show.console().print(table)
