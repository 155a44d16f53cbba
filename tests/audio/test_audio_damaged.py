"""Damaged files are refused with an InputError, never with an error of the libraries that read them."""

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from damaged_files import CONTAINERS, damaged_copies, sound_file

import undin
from undin.errors import InputError


@pytest.mark.parametrize("extension", CONTAINERS)
def test_damaged_files_are_read_or_refused(tmp_path: Path, extension: str) -> None:
    if extension == "mkv":
        pytest.importorskip("av")
    refused = 0
    for path in damaged_copies(sound_file(tmp_path, extension), 150):
        try:
            undin.read(path, nan="zero", truncated="keep")
        except InputError as error:
            refused += 1
            assert str(error).startswith(str(path))
    assert refused > 10


def test_headers_that_end_or_point_nowhere_are_refused(tmp_path: Path) -> None:
    cut = tmp_path / "cut.rf64"
    cut.write_bytes(b"RF64\xff\xff\xff\xffWAVEds64\x1c\0\0\0" + bytes(5))
    far = tmp_path / "far.caf"
    far.write_bytes(b"caff\0\1\0\0desc" + struct.pack(">q", 2**62) + bytes(40))
    for path in (cut, far):
        with pytest.raises(InputError, match=path.name):
            undin.read(path)


@pytest.mark.parametrize(
    ("extension", "chunk", "n_name", "size"),
    [("caf", b"desc", 4, struct.pack(">q", 2**63 - 256)), ("w64", b"fmt ", 16, struct.pack("<q", 2**63 - 2**32 + 40))],
)
def test_chunks_that_end_beyond_any_file_are_refused(
    tmp_path: Path, extension: str, chunk: bytes, n_name: int, size: bytes
) -> None:
    """Libsndfile looks at 32 bits of these sizes and takes the files; seeking there is an OSError."""
    path = sound_file(tmp_path, extension)
    data = path.read_bytes()
    at = data.index(chunk) + n_name
    path.write_bytes(data[:at] + size + data[at + 8 :])
    assert soundfile.info(path).samplerate == 16000
    with pytest.raises(InputError, match=path.name):
        undin.read(path)


@pytest.mark.parametrize("extension", CONTAINERS)
def test_read_and_blocks_refuse_the_same(tmp_path: Path, extension: str) -> None:
    if extension == "mkv":
        pytest.importorskip("av")
    n_read = n_refused = 0
    for path in damaged_copies(sound_file(tmp_path, extension), 60, seed=1):
        outcomes: list[int | str] = []
        for count in (lambda p: undin.read(p)[0].shape[-1], lambda p: sum(x.shape[-1] for x in undin.blocks(p, 300))):
            try:
                outcomes.append(count(path))
            except InputError as error:
                outcomes.append(str(error))
        assert outcomes[0] == outcomes[1]
        n_read, n_refused = n_read + isinstance(outcomes[0], int), n_refused + isinstance(outcomes[0], str)
    assert n_refused > 10 and n_read + n_refused == 60


@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_U8", "ULAW", "ALAW", "PCM_16"])
@pytest.mark.parametrize(("n_channels", "n_samples"), [(1, 1), (1, 1001), (1, 1000), (3, 1001)])
def test_the_pad_byte_of_an_aiff_is_not_a_sample(tmp_path: Path, subtype: str, n_channels: int, n_samples: int) -> None:
    path = tmp_path / "x.aiff"
    undin.write(path, np.full((n_channels, n_samples), 0.5), 8000, subtype=subtype)
    x, _ = undin.read(path)
    assert x.shape == ((n_channels, n_samples) if n_channels > 1 else (n_samples,))
    np.testing.assert_allclose(x, 0.5, atol=0.02)
    assert undin.info(path).n_samples == soundfile.info(path).frames == n_samples
    assert sum(block.shape[-1] for block in undin.blocks(path, 300)) == n_samples
    assert path.stat().st_size % 2 == 0
