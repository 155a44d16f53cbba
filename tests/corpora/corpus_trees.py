"""Tiny corpora for the tests: folders of short noises."""

import numpy as np
import pytest
import soundfile

from undin import corpora


def sound(path, *, seconds=0.1, sr=16000, n_channels=1, gain=0.1, **format):
    """Write noise; its samples depend on the name, so that no two files are copies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(list(path.as_posix().encode()))
    soundfile.write(path, gain * rng.uniform(-1, 1, (round(seconds * sr), n_channels)), sr, **format)


def tree(root, *names, **settings):
    """Write a sound at every name; a name (name, text) is a text file."""
    for name in names:
        if isinstance(name, tuple):
            (root / name[0]).parent.mkdir(parents=True, exist_ok=True)
            (root / name[0]).write_text(name[1], encoding="utf-8")
        else:
            is_sphere = name.lower().endswith((".wv1", ".wv2")) or name.endswith(".WAV")
            sound(root / name, **settings, **({"format": "NIST", "subtype": "PCM_16"} if is_sphere else {}))


def sphere(path, *, n_promised=1600, coding="pcm", n_bytes=3200):
    """Write a SPHERE file by hand."""
    fields = {"channel_count -i": 1, "sample_rate -i": 16000, "sample_n_bytes -i": 2, "sample_count -i": n_promised}
    fields |= {"sample_byte_format -s2": "01", f"sample_coding -s{len(coding)}": coding}
    head = "NIST_1A\n   1024\n" + "".join(f"{k} {v}\n" for k, v in fields.items()) + "end_head\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head.encode().ljust(1024) + b"\1\2" * (n_bytes // 2))


def found(root, layout):
    """Rows of a folder that must be recognized as `layout`, by their paths."""
    result = corpora.scan(root)
    assert (result.layout, result.unreadable) == (layout, ())
    assert all(clip.duration_s == pytest.approx(0.1) and clip.offset_s == 0 for clip in result.rows)
    corpus = corpora.open(root)
    assert corpus.rows == result.rows
    assert corpus.load(corpus.rows[0]).shape == (round(0.1 * corpus.sr),)
    return {clip.path: clip for clip in result.rows}


def facts(clip, *names):
    return tuple(getattr(clip, name) for name in names)
