"""Methods x mixtures -> scores -> report, with the unprocessed input next to every score.

manifest, make_systems, choose --evaluate--> scores.csv, Evaluation
Evaluation --write_summary--> summary.json; --write_per_kind--> per_noise.csv
Evaluation + make_examples --write_report--> report.html

systems.py      what is evaluated: a method, weights, any other program, an oracle
task.py         what differs between tasks: enhancement.py (one reference), separation.py (talkers, best order)
lag.py          the delay of other programs, taken out
measures.py     the metrics, by name
recognizer.py   word error rate by any recognizer, a command
files.py        scores of files, without mixtures
run.py          evaluate: every mixture, every method; resumes, isolates failures
scores.py       the rows of scores.csv
statistics.py   means with intervals, paired tests
slices.py       means by method, metric, group and SNR
summary.py      summary.json: means, and the facts of a run
per_kind.py     mean and deviation per group; per_speaker.py: seen and unseen speakers
report/         examples, plots and gains [plot], tables, page
recording/      what is wrong with one recording, without a reference
"""

from undin.evaluation.enhancement import Enhancement
from undin.evaluation.lag import align, lag_notes
from undin.evaluation.measures import choose
from undin.evaluation.per_kind import write_per_kind
from undin.evaluation.per_speaker import write_seen_speakers
from undin.evaluation.recognizer import POOLED, Recognizer, read_transcripts
from undin.evaluation.report import Example, draw_gains, make_examples, write_report
from undin.evaluation.run import Evaluation, Failure, evaluate
from undin.evaluation.scores import Score
from undin.evaluation.separation import Separation
from undin.evaluation.statistics import Mean, PairedTest, mean_of, paired_test
from undin.evaluation.summary import about_run, write_summary
from undin.evaluation.systems import CommandSystem, MethodSystem, Oracle, System, make_systems
from undin.evaluation.task import Task

__all__ = [
    "POOLED",
    "CommandSystem",
    "Enhancement",
    "Evaluation",
    "Example",
    "Failure",
    "Mean",
    "MethodSystem",
    "Oracle",
    "PairedTest",
    "Recognizer",
    "Score",
    "Separation",
    "System",
    "Task",
    "about_run",
    "align",
    "choose",
    "draw_gains",
    "evaluate",
    "lag_notes",
    "make_examples",
    "make_systems",
    "mean_of",
    "paired_test",
    "read_transcripts",
    "write_per_kind",
    "write_report",
    "write_seen_speakers",
    "write_summary",
]
