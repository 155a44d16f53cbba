"""Tags before the audio of an MP3: libsndfile garbles all but ASCII, so they are copied or written here."""

from pathlib import Path

from undin.audio.source import AudioPath

FRAMES = {"title": "TIT2", "artist": "TPE1", "album": "TALB", "date": "TDRC", "tracknumber": "TRCK", "genre": "TCON"}
FRAMES |= {"copyright": "TCOP", "comment": "COMM"}


def id3_length(head: bytes) -> int:
    """Bytes of the ID3v2 tag at the start of an MP3, 0 for none: its size is stored in four times seven bits."""
    if len(head) < 10 or head[:3] != b"ID3":
        return 0
    return 10 + sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))


def id3_of(path: AudioPath) -> bytes:
    """The ID3v2 tag of an MP3 with all that is in it, pictures included; b"" for none or another kind of file."""
    with Path(path).open("rb") as file:
        head = file.read(10)
        return head + file.read(id3_length(head) - 10) if id3_length(head) else b""


def make_id3(tags: dict[str, str]) -> bytes:
    """Make an ID3v2.4 tag in UTF-8 (encoding byte 3); b"" for no tags."""
    frames = b""
    for name, text in tags.items():
        if name in FRAMES and text:
            body = b"\3" + (b"eng\0" if name == "comment" else b"") + text.encode()
            frames += FRAMES[name].encode() + _seven_bits(len(body)) + b"\0\0" + body
    return b"ID3\4\0\0" + _seven_bits(len(frames)) + frames if frames else b""


def _seven_bits(n: int) -> bytes:
    return bytes(n >> shift & 0x7F for shift in (21, 14, 7, 0))
