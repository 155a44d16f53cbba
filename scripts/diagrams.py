"""Block diagrams of the docs: python scripts/diagrams.py

docs/pictures/mann-cell.png, the memory cell of `mann`, and docs/pictures/cmask-architecture.png, both of the shipped
sizes, which are read from the models.
"""

from pathlib import Path

import undin

PICTURES = Path(__file__).parents[1] / "docs/pictures"
BLUE, ORANGE, GRAY = "#dbe7f5", "#fbe5cf", "#ececec"


class Diagram:
    """Boxes and arrows on a white ground; positions are in inches from the lower left corner."""

    def __init__(self, width: float, height: float) -> None:
        from matplotlib.figure import Figure

        self.figure = Figure(figsize=(width, height), facecolor="white")
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, width), ylim=(0, height))
        self.axes.axis("off")

    def box(self, x: float, y: float, text: str, color: str = BLUE, width: float = 1.9, height: float = 0.7) -> None:
        """A box around (x, y)."""
        from matplotlib.patches import FancyBboxPatch

        corner = (x - width / 2, y - height / 2)
        style = {"boxstyle": "round,pad=0,rounding_size=0.08", "facecolor": color, "edgecolor": "#444", "linewidth": 1}
        self.axes.add_patch(FancyBboxPatch(corner, width, height, **style))
        self.axes.text(x, y, text, ha="center", va="center", fontsize=9)

    def arrow(self, *points: tuple[float, float], text: str = "", dashed: bool = False) -> None:
        """An arrow through points, with a label above the middle of its first stretch."""
        x, y = zip(*points, strict=True)
        self.axes.plot(x[:-1], y[:-1], "--" if dashed else "-", color="#444", linewidth=1.2)
        style = {"arrowstyle": "-|>", "color": "#444", "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0}
        self.axes.annotate("", points[-1], points[-2], arrowprops=style | {"linestyle": "--" if dashed else "-"})
        middle = ((x[0] + x[1]) / 2, (y[0] + y[1]) / 2 + 0.1)
        self.axes.text(*middle, text, ha="center", va="bottom", fontsize=8, color="#333")

    def save(self, name: str) -> None:
        """Write docs/pictures/NAME."""
        self.figure.savefig(PICTURES / name, dpi=110, metadata={"Software": None})


def memory_cell() -> None:
    c = undin.load("mann").config
    d = Diagram(8.2, 4.3)
    d.box(1.4, 3.6, "input x(t)", GRAY)
    d.box(1.4, 2.2, f"controller\nLSTM, {c.n_cell} units", BLUE)
    d.box(1.4, 0.7, "output\n[h(t); r(t)]" if c.gives == "both" else "output\nh(t)", GRAY)
    d.box(4.3, 3.3, f"write heads ({c.n_write})\nkey, gate, shift,\nerase, add", BLUE, height=0.9)
    d.box(4.3, 1.2, f"read heads ({c.n_read})\nkey, gate, shift", BLUE, height=0.8)
    d.axes.text(7.0, 3.95, f"memory M: {c.n_rows} rows x {c.n_width}", ha="center", fontsize=9)
    for k in range(8):
        d.box(7.0, 3.6 - 0.37 * k, "", ORANGE, 1.7, 0.3)
    d.arrow((1.4, 3.25), (1.4, 2.55))
    d.arrow((1.4, 1.85), (1.4, 1.05))
    d.arrow((2.35, 2.4), (3.35, 3.1), text="h(t)  ")
    d.arrow((2.35, 2.0), (3.35, 1.4))
    d.arrow((5.25, 3.3), (6.15, 3.3), text="2. erase, add")
    d.arrow((6.15, 1.2), (5.25, 1.2), text="1. read")
    d.arrow((3.35, 0.9), (2.35, 0.9), text="r(t)")
    d.arrow((4.3, 0.8), (4.3, 0.15), (0.15, 0.15), (0.15, 2.2), (0.45, 2.2), dashed=True)
    d.axes.text(3.0, 0.2, "r(t), to the next frame", ha="center", va="bottom", fontsize=8, color="#333")
    d.save("mann-cell.png")


def cmask() -> None:
    c = undin.load("cmask").config
    d = Diagram(8.2, 2.6)
    inputs = "real and imaginary part,\nmagnitude" if c.magnitude else "real and imaginary part"
    row = [
        (f"STFT\n{1000 * c.n_fft / c.sr:g} ms every {1000 * c.hop_length / c.sr:g} ms", GRAY),
        (f"compression ^{c.power:g}\n{inputs}", GRAY),
        (f"convolutions 1 x {c.width}, {c.width} x 1\n{c.channels} channels", BLUE),
        (
            f"{len(c.dilations)} convolutions {c.kernel} x {c.kernel}\ndilations {c.dilations[0]} to {c.dilations[-1]}",
            BLUE,
        ),
    ]
    back = [
        ("inverse STFT", GRAY),
        (f"{c.mask} mask\ntimes input", ORANGE),
        (f"{c.n_hidden} dense units\nand mask layer", BLUE),
        (f"LSTM, {c.n_lstm} units", BLUE),
    ]
    for k, ((upper, color), (lower, below)) in enumerate(zip(row, back, strict=True)):
        x = 1.05 + 2.03 * k
        d.box(x, 2.0, upper, color, 1.8, 0.8)
        d.box(x, 0.65, lower, below, 1.8, 0.8)
        if k < 3:
            d.arrow((x + 0.9, 2.0), (x + 1.13, 2.0))
            d.arrow((x + 1.13, 0.65), (x + 0.9, 0.65))
    d.arrow((1.05 + 3 * 2.03, 1.6), (1.05 + 3 * 2.03, 1.05))
    d.arrow((1.05, 1.6), (2.5, 1.05), text="              noisy spectrum", dashed=True)
    d.save("cmask-architecture.png")


if __name__ == "__main__":
    memory_cell()
    cmask()
