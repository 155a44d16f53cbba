"""An Evaluation as a page to read, look at and listen to.

examples.py   mixtures, processed again to be played
tables.py     rows of cells
plots.py      pictures of means [plot]; gains.py: gains.png
page.py       all of it -> report.html
"""

from undin.evaluation.report.examples import Example, make_examples
from undin.evaluation.report.gains import draw_gains
from undin.evaluation.report.page import write_report

__all__ = ["Example", "draw_gains", "make_examples", "write_report"]
