"""Scores are those of the metrics on the method's own output; whatever goes wrong is named and the rest is done."""

import re
from dataclasses import replace

import numpy as np
import pytest
from evaluation_files import COPY, CRASH, LATE, NOTHING, SHORT, SLOW, program, rows, si_sdr

import undin
from undin import corpora, mixing
from undin.errors import InputError
from undin.evaluation import Enhancement, choose, evaluate, make_systems
from undin.evaluation.lag import align, lag_ms, lag_notes
from undin.evaluation.scores import ScoreFile
from undin.evaluation.systems import CommandSystem
from undin.metrics import METRICS

ROWS = rows()


@pytest.fixture
def run(tmp_path):
    """Evaluate in a fresh folder."""

    def run(methods=("log-mmse",), commands=(), *, rows=ROWS, **settings):
        systems = make_systems(methods, commands)
        return evaluate(rows, corpora.mini(), systems, si_sdr(), tmp_path, **settings)

    return run


def test_scores_are_those_of_the_methods_output(run):
    result = run(["log-mmse", "gate=spectral-gate"])
    assert [s.method for s in result.scores[:3]] == ["input", "log-mmse", "gate"] and not result.failures
    mixture = mixing.render(rows()[2], corpora.mini())
    by_method = {s.method: s for s in result.scores if s.id == rows()[2].id}
    for name, y in {
        "input": mixture.noisy,
        "log-mmse": undin.enhance(mixture.noisy, 16000, method="log-mmse"),
        "gate": undin.enhance(mixture.noisy, 16000, method="spectral-gate"),
    }.items():
        assert by_method[name].values["si_sdr_db"] == undin.metrics.si_sdr(ref=mixture.speech, est=y)
    assert by_method["input"].seconds == 0 < by_method["gate"].seconds
    assert by_method["gate"].kind == rows()[2].kind and by_method["gate"].speaker == rows()[2].speaker


def test_two_workers_give_the_same_scores(run, tmp_path):
    alone = {(s.id, s.method): s.values for s in run().scores}
    (tmp_path / "scores.csv").unlink()
    calls = []
    both = run(workers=2, progress=lambda *done: calls.append(done))
    assert {(s.id, s.method): s.values for s in both.scores} == alone
    assert sorted(calls) == [(i, 6) for i in range(1, 7)]


def test_a_command_gets_a_wav_and_gives_one(run):
    result = run([], [COPY])
    before, after = ([s.values["si_sdr_db"] for s in result.scores if s.method == m] for m in ("input", "copy"))
    np.testing.assert_allclose(before, after, atol=0.01)
    assert all(s.lag_ms == 0 for s in result.scores)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (CRASH, "exited with 1: no such weights"),
        (SHORT, r"returned \d+ samples for \d+ \(-0.4 ms\): the output must have the length of the input"),
        (SLOW, "returned 8000 Hz for an input of 16000 Hz"),
        (NOTHING, "succeeded without writing an output"),
        ("gone=/no/such/program {in} {out}", "/no/such/program cannot be started: No such file"),
        (program("words", "open(sys.argv[2],'w').write('words')"), "is not a readable audio file"),
    ],
)
def test_a_program_s_errors_are_reported_and_the_rest_is_scored(run, command, reason):
    result = run(["log-mmse"], [command], rows=rows()[:2])
    name = command.partition("=")[0]
    assert [(f.row, f.method) for f in result.failures] == [(2, name), (3, name)]
    for failure in result.failures:
        assert re.search(reason, failure.reason), failure.reason
    assert all(s.values for s in result.scores if s.method != name)
    assert not any(s.values for s in result.scores if s.method == name)


def test_a_method_that_fails_on_one_file_is_scored_on_the_others(run):
    longest = max(rows(), key=lambda row: row.n_samples)
    result = run(
        [], [program("picky", f"len(x) == {longest.n_samples} and sys.exit('too long');f.write(sys.argv[2],x,sr)")]
    )
    assert [(f.id, f.method, f.reason) for f in result.failures] == [(longest.id, "picky", "exited with 1: too long")]
    assert sum(bool(s.values) for s in result.scores if s.method == "picky") == len(rows()) - 1


def test_errors_in_a_row_name_the_row(run):
    gone = replace(rows()[1], id="gone", speech=(replace(rows()[1].speech[0], path="no.flac"),))
    broken = InputError("m.csv, row 5: snr_db must be a number; got 'loud'")
    clean = replace(rows()[1], id="clean", noise=(), snr_db=float("inf"))
    result = run(rows=[rows()[0], gone, rows()[0], broken, clean, rows()[3]])
    failed = {f.row: (f.id, f.method, f.reason) for f in result.failures}
    assert list(failed) == [3, 4, 5, 6]
    assert failed[3][:2] == ("gone", "") and "no.flac is missing" in failed[3][2]
    assert failed[4] == (rows()[0].id, "", "row 2 has the same id: give every row a unique id")
    assert failed[5] == ("", "", "snr_db must be a number; got 'loud'")
    assert failed[6][0] == "clean" and "it has no noise" in failed[6][2]
    assert {s.id for s in result.scores if s.values} == {rows()[0].id, rows()[3].id}


def test_a_process_that_dies_has_failed_its_file_only(run, monkeypatch):
    kill = program("kill", "import os,signal;len(x)==%d and os.kill(os.getppid(),9);f.write(sys.argv[2],x,sr)")
    result = run([], [kill % rows()[2].n_samples], workers=2)
    assert [(f.id, f.method) for f in result.failures] == [(rows()[2].id, "")]
    assert "its process ended with -9" in result.failures[0].reason
    assert sum(bool(s.values) for s in result.scores) == 2 * (len(rows()) - 1)


def test_undefined_and_infinite_scores_are_missing_with_the_reason(run, monkeypatch):
    silence = program("silence", "f.write(sys.argv[2],0*x,sr)")
    result = run([], [silence], rows=rows()[:1])
    score = result.scores[1]
    assert not result.failures and not score.values and "est is silent" in score.undefined["si_sdr_db"]
    endless = replace(METRICS["si_sdr_db"], score=lambda *_: np.inf)
    monkeypatch.setitem(METRICS, "si_sdr_db", endless)
    score = run([], [program("again", "f.write(sys.argv[2],x,sr)")], rows=rows()[:1]).scores[1]
    assert not score.values and score.undefined == {"si_sdr_db": "SI-SDR is infinite"}


def test_a_second_run_keeps_existing_scores(run, tmp_path, monkeypatch):
    first = run()
    monkeypatch.setattr("undin.evaluation.run.Scorer.score", lambda *_: pytest.fail("worked again"))
    second = run()
    assert second.n_kept == 12 and [s.values for s in second.scores] == [s.values for s in first.scores]


def test_the_snr_of_the_output_is_not_taken_for_that_of_the_mixture(tmp_path):
    systems, snr = make_systems(["log-mmse"]), choose(["snr_db"], 16000)[0]
    first = evaluate(ROWS[:2], corpora.mini(), systems, snr, tmp_path)
    wanted = [(score.snr_db, score.values) for score in first.scores]
    path = tmp_path / "scores.csv"
    older = path.read_text().replace("out_snr_db", "snr_db")  # both columns had one name
    for text in (path.read_text(), older):
        path.write_text(text)
        again = evaluate(ROWS[:2], corpora.mini(), systems, snr, tmp_path)
        assert again.n_kept == 4 and [(s.snr_db, s.values) for s in again.scores] == wanted


def test_a_torn_line_is_done_again_and_rows_of_older_settings_too(run, tmp_path):
    first = run(["m=log-mmse"])
    path = tmp_path / "scores.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]) + lines[-1][: len(lines[-1]) // 2])
    assert run(["m=log-mmse"]).n_kept == 11
    other = run(["m=spectral-gate"])
    assert other.n_kept == 6  # the input's
    assert {s.values["si_sdr_db"] for s in other.scores} != {s.values["si_sdr_db"] for s in first.scores}
    assert len(path.read_text().splitlines()) == 13


def test_rows_of_other_methods_stay_and_failed_ones_are_tried_again(run, tmp_path):
    run(["log-mmse"])
    flag = tmp_path / "ready"
    command = program("later", f"__import__('os').path.exists({str(flag)!r}) or sys.exit(1);f.write(sys.argv[2],x,sr)")
    assert len(run([], [command]).failures) == 6
    flag.touch()
    result = run([], [command])
    assert not result.failures and result.n_kept == 6
    kept = ScoreFile(tmp_path / "scores.csv", ["si_sdr_db"]).read()
    assert {s.method for s in kept} == {"input", "log-mmse", "later"} and len(kept) == 18


def test_seen_follows_from_the_kinds_of_a_training_set(run):
    kinds = {row.kind for row in rows()}
    one = sorted(kinds)[0]
    seen = {s.kind: s.seen for s in run(task=Enhancement({one})).scores}
    assert seen == {kind: "yes" if kind == one else "no" for kind in kinds}


def test_late_outputs_are_measured(run):
    assert {s.lag_ms for s in run([], [LATE]).scores if s.method == "late"} == {10.0}


def test_a_constant_lag_of_a_program_is_taken_out(run):
    early = program("early", "import numpy as n;f.write(sys.argv[2],n.r_[x[40:],n.zeros(40)],sr)")
    systems = align(make_systems(["log-mmse"], [COPY, LATE, early, CRASH]), 16000)
    assert [getattr(s, "lag_ms", None) for s in systems] == [None, 0, 10.0, -2.5, 0]
    assert [note.split(";")[0] for note in lag_notes(systems)] == [
        "The output of late is 10.0 ms late",
        "The output of early is 2.5 ms early",
    ]
    assert systems[2].describe()["lag_ms"] == 10.0 and "lag_ms" not in systems[1].describe()
    x = np.random.default_rng(0).uniform(-0.5, 0.5, 4000).astype(np.float32)
    for system in systems[1:4]:  # to the last sample
        np.testing.assert_allclose(system.load()(x, 16000), x, atol=1e-4)


def test_an_output_unlike_the_input_has_no_lag():
    noise = program("noise", "import numpy as n;f.write(sys.argv[2],n.random.default_rng(0).uniform(-1,1,len(x)),sr)")
    assert align(make_systems([], [noise]), 16000)[0].lag_ms == 0


@pytest.mark.parametrize("shift", [-37, 0, 5, 300])
def test_lag_of_a_noisy_copy(shift):
    x, noise = np.random.default_rng(0).standard_normal((2, 4000))
    assert lag_ms(np.roll(x, shift) + noise, x, 8000) == shift / 8


@pytest.mark.parametrize(
    ("methods", "commands", "message"),
    [
        ([], [], "nothing to evaluate"),
        (["log-mmse", "log-mmse"], [], "'log-mmse' names two methods"),
        (["input=log-mmse"], [], "the name 'input' is reserved"),
        (["log-mse"], [], "did you mean log-mmse"),
        ([], ["sox in.wav out.wav"], r"--cmd must be 'name=program \{in\} \{out\}'"),
        ([], ["a=prog '{in} {out}"], "cannot be split into words: No closing quotation"),
    ],
)
def test_bad_methods_are_refused_before_any_work(methods, commands, message):
    with pytest.raises(InputError, match=message):
        make_systems(methods, commands)


def test_file_names_with_spaces_reach_the_program(tmp_path, monkeypatch):
    (tmp_path / "a b").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "a b"))
    runner = CommandSystem(*COPY.split("=", 1))
    x = np.random.default_rng(0).uniform(-0.5, 0.5, 800).astype(np.float32)
    np.testing.assert_allclose(runner.load()(x, 16000), x, atol=1 / 32768)
    assert not list((tmp_path / "a b").iterdir())


def test_metrics_are_chosen_by_name_package_and_rate(monkeypatch):
    assert [m.name for m in choose(["lsd_db", "si_sdr_db"], 16000)[0]] == ["lsd_db", "si_sdr_db"]
    with pytest.raises(InputError, match="unknown metric 'pesc': known: pesq_wb"):
        choose(["pesc"], 16000)
    with pytest.raises(InputError, match="pesq_wb needs 16000 Hz or more; the mixtures have 8000 Hz"):
        choose(["pesq_wb"], 8000)
    chosen, left_out = choose(None, 8000)
    assert "pesq_wb" not in [m.name for m in chosen] and any("wide band" in note for note in left_out)
