import pytest
from hypothesis import given
from hypothesis import strategies as st

from undin.errors import InputError
from undin.evaluation.scores import Score, ScoreFile

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=12).map(
    lambda t: " ".join(t.split())
)


@given(TEXT, TEXT, st.floats(-100, 100), TEXT)
def test_written_scores_are_read_back(tmp_path_factory, id, error, value, reason):
    file = ScoreFile(tmp_path_factory.mktemp("s") / "scores.csv", ["a", "b"])
    score = Score(
        id, "m", "rain, wet", -5.0, values={"a": value}, duration_s=2.5, error=error, undefined={"b": reason}, key="k"
    )
    file.write([])
    file.append([score])
    assert file.read() == [score]


def test_foreign_files_and_other_metrics(tmp_path):
    path = tmp_path / "scores.csv"
    assert ScoreFile(path, ["a"]).read() == []
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"scores.csv exists and was not written by undin evaluate: move it away, or"):
        ScoreFile(path, ["a"]).read()
    ScoreFile(path, ["a", "b"]).write([Score("x", "m", "k", 0.0, values={"a": 1.0, "b": 2.0}, key="k")])
    assert ScoreFile(path, ["b", "c"]).read()[0].values == {"b": 2.0}


def test_a_line_torn_anywhere_is_never_taken_for_whole(tmp_path):
    file = ScoreFile(tmp_path / "scores.csv", ["a"])
    file.write([Score("x", "m", "k", 0.0, values={"a": 1.25}, key="0123456789abcdef")])
    whole = file.path.read_bytes()
    start = whole.index(b"\n") + 1
    for stop in range(start, len(whole)):
        file.path.write_bytes(whole[:stop])
        assert file.read() == []
