"""Methods x mixtures -> scores -> report, with the unprocessed input beside every score.

manifest, make_runners, choose --evaluate--> scores.csv, Evaluation
Evaluation --write_summary--> summary.json; --write_per_noise--> per_noise.csv; --draw_gains--> gains.png
Evaluation + make_examples --write_report--> report.html

runners.py      what is evaluated: a method, weights, or any other program
measures.py     the metrics, by name
run.py          evaluate: every mixture, every method, resumed where it was stopped
scores.py       the rows of scores.csv
pool.py         processes side by side
statistics.py   means with intervals, paired tests
summary.py      slices by kind of noise, SNR and method; the facts of a run
per_noise.py    mean and deviation per kind of noise; per_speaker.py: known and unknown voices apart
gains.py        how gains are spread [plot]
examples.py     mixtures to listen to
tables.py       the tables of a report
plots.py        its pictures [plot]
separation.py   talkers pulled apart: scores in the best order, beside ideal masks
report.py       the page; talkers_report.py that of talkers
recording/      what is wrong with one recording, told without a reference
"""

from undin.evaluation.examples import Example, make_examples
from undin.evaluation.gains import draw_gains
from undin.evaluation.measures import choose
from undin.evaluation.per_noise import write_per_noise
from undin.evaluation.per_speaker import write_seen_speakers
from undin.evaluation.report import write_report
from undin.evaluation.run import Evaluation, Failure, evaluate
from undin.evaluation.runners import CommandRunner, MethodRunner, Runner, make_runners
from undin.evaluation.scores import Score
from undin.evaluation.separation import TalkerScore, evaluate_talkers, make_separators, score_talkers
from undin.evaluation.statistics import Mean, PairedTest, mean_of, paired_test
from undin.evaluation.summary import about_run, write_summary
from undin.evaluation.talkers_report import about_talkers, make_talker_examples, write_talkers_report

__all__ = [
    "CommandRunner",
    "Evaluation",
    "Example",
    "Failure",
    "Mean",
    "MethodRunner",
    "PairedTest",
    "Runner",
    "Score",
    "TalkerScore",
    "about_run",
    "about_talkers",
    "choose",
    "draw_gains",
    "evaluate",
    "evaluate_talkers",
    "make_examples",
    "make_runners",
    "make_separators",
    "make_talker_examples",
    "mean_of",
    "paired_test",
    "score_talkers",
    "write_per_noise",
    "write_report",
    "write_seen_speakers",
    "write_summary",
    "write_talkers_report",
]
