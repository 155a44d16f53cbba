"""The README's first picture: python -m benchmarks.quality.first_picture -> docs/pictures/lull-typical.png

The median mixture at 5 dB of `benchmarks.quality.enhancement` by SI-SDR gained, not a hand-picked one.
"""

import csv

from PIL import Image

import undin
from benchmarks.launch import parser
from benchmarks.quality.enhancement import PATH, SHIPPED, files
from benchmarks.scoring import PICTURES, real_data
from undin.mixing import render
from undin.pictures import spectrograms

PICTURE, SNR_DB = PICTURES / "lull-typical.png", 5.0


def main() -> None:
    parser(__doc__).parse_args()
    with PATH.open(newline="") as file:
        si_sdr_db = {(row["method"], row["id"]): row["si_sdr_db"] for row in csv.DictReader(file)}
    corpus = real_data()
    rows = {name: row for name, (part, row) in files(corpus).items() if part == "mixture" and row.snr_db == SNR_DB}
    gained = {name: float(si_sdr_db[SHIPPED, name]) - float(si_sdr_db["input", name]) for name in rows}
    row = rows[sorted(gained, key=lambda name: gained[name])[len(gained) // 2]]
    mixture = render(row, corpus)
    enhanced = undin.enhance(mixture.noisy, row.sr)
    signals = {"noisy": mixture.noisy, "enhanced": enhanced, "clean": mixture.speech}
    before, after = (undin.metrics.si_sdr(ref=mixture.speech, est=est) for est in (mixture.noisy, enhanced))
    figure = spectrograms(
        signals, row.sr, title=f"{row.kind.replace('_', ' ')}: SI-SDR {before:.1f} dB → {after:.1f} dB"
    )
    figure.set_size_inches(9, 5.4)
    figure.savefig(PICTURE, dpi=100, metadata={"Software": None})
    Image.open(PICTURE).convert("RGB").quantize(256, Image.Quantize.MEDIANCUT).save(PICTURE, optimize=True)
    print(row.speech[0].path, row.kind, f"{before:.1f} -> {after:.1f} dB")


if __name__ == "__main__":
    main()
