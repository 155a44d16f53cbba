"""Strategies of damage: bytes of a file, cells of a table, text."""

from typing import Any

from hypothesis import strategies as st

BYTES = st.one_of(st.sampled_from([0, 1, 0x7F, 0x80, 0xFE, 0xFF]), st.integers(0, 255))
NUMBERS = [0, 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1]
HEADER = 400  # bytes that are hit more often than the rest
NASTY = [
    "", " ", "-", "0", "-0", "-1", "1", "2.5", "1e9", "1e30", "1e308", "1e309", "1e-320", "nan", "inf", "-inf", "1_0",
    "0x10", "١٢", "99999999999999999999", "true", "none", "null", "[]", "{}", "../a", "../../etc/passwd", "/etc/passwd",
    "C:\\a", "~", ".", "..", "/", "a\0b", "a\nb", "\x1b[2J", "\ufeff", "\u202e", "é", "\ud800", "a" * 300, ";", ";;",
    "%3B", "%", "{}", "{0.__class__}", "'", '"', "<script>", "$(id)", "|", "=", "#", "[config]",
]  # fmt: skip
TEXT = st.one_of(
    st.sampled_from(NASTY), st.text(max_size=12), st.integers().map(str), st.floats(allow_subnormal=True).map(repr)
)
SETTINGS: st.SearchStrategy[Any] = st.one_of(  # values that a TOML or JSON file may hold
    st.none(),
    st.booleans(),
    st.integers(-3, 5),
    st.sampled_from([10**6, 10**9, 2**31, 2**63, 10**30, -(10**9)]),
    st.floats(),
    st.sampled_from(NASTY),
    st.lists(st.one_of(st.integers(-2, 40), st.floats(), st.sampled_from(NASTY)), max_size=3),
    st.dictionaries(st.sampled_from(["a", "gain", ""]), st.integers(), max_size=1),
)


@st.composite
def damaged(draw: Any, data: bytes, most: int = 6) -> bytes:
    """The data after up to `most` changes: bytes set, put in, cut out, doubled, set to zero, numbers replaced."""
    out = bytearray(data)
    for _ in range(min(draw(st.sampled_from([0, 1, 1, 1, 2, 3, 9])), most)):
        end = max(len(out) - 1, 0)
        at = draw(st.one_of(st.integers(0, min(end, HEADER)), st.integers(0, end)))
        span = draw(st.integers(1, 64))
        kind = draw(st.sampled_from(["set", "set", "number", "put", "cut", "double", "zero", "end"]))
        if kind == "set":
            out[at : at + 1] = [draw(BYTES)]
        elif kind == "number":
            size, order = draw(st.sampled_from([2, 4, 8])), draw(st.sampled_from(["little", "big"]))
            number = draw(st.sampled_from(NUMBERS)) % 256**size
            out[at : at + size] = number.to_bytes(size, order)
        elif kind == "end":
            del out[at:]
        else:
            old = bytes(out[at : at + span])
            new = {"put": draw(st.binary(max_size=8)) + old, "cut": b"", "double": 2 * old, "zero": bytes(len(old))}
            out[at : at + span] = new[kind]
    return bytes(out)


@st.composite
def damaged_table(draw: Any, rows: list[list[str]], most: int = 4) -> list[list[str]]:
    """The rows (the header is the first) with up to `most` cells replaced; columns and rows cut out or doubled."""
    out = [list(row) for row in rows]
    for _ in range(draw(st.integers(0, most))):
        row = draw(st.integers(0, len(out) - 1))
        column = draw(st.integers(0, len(rows[0]) - 1))
        kind = draw(st.sampled_from(["cell", "cell", "cell", "cell", "join", "short", "long", "again"]))
        if kind == "again":
            out.append(list(out[row]))
        elif kind == "long":
            out[row].append(draw(TEXT))
        elif kind == "short":
            del out[row][column : column + 1]
        elif column < len(out[row]):
            joined = f"{out[row][column]};{out[row][column]}"
            out[row][column] = joined if kind == "join" else draw(TEXT)
    return out
