"""Pictures of a method's internal values, see `Method.looks`."""

from pathlib import Path

from undin import pictures
from undin.methods import Method
from undin.spectrum import Array


def draw_looks(model: Method, x: Array, sr: int, stem: str, *, ref: Array | None = None) -> None:
    """Write <stem><name>.png of each.

    Args:
        model: the method.
        x: (n_samples,), floating point.
        sr: sample rate in Hz.
        stem: beginning of the files' paths.
        ref: (n_src, n_samples), the sources of x, where they are known.
    """
    c = model.config
    for look in model.looks(x, sr, ref=ref):
        path = Path(f"{stem}{look.name}.png")
        if look.kind == "masks":
            pictures.masks(look.planes, c.sr, c.hop_length, path, title=path.stem)
        elif look.kind == "heat_maps":
            pictures.heat_maps(look.planes, c.hop_length / c.sr, path, title=path.stem)
        elif look.points is not None:
            pictures.points(look.points, look.planes, path, title=path.stem)
