"""Files in, files out, in bulk.

    inputs --plan--> tasks --run--> results,    process_file for each, notes next to finished outputs

`process_file` drives a method from one file to another block by block; `plan` says what is written where and finds
every clash first; `run` works through the tasks in one process or several, skips what is done and names what fails.
"""

from undin.jobs.bulk import run
from undin.jobs.notes import NOTES, FileSettings
from undin.jobs.one_file import enhance_file, separate_file
from undin.jobs.plan import FileTask, plan
from undin.jobs.process import FileReport, process_file
from undin.jobs.result import Result
from undin.jobs.urls import plan_urls, run_urls
from undin.jobs.walk import find_audio

__all__ = [
    "NOTES",
    "FileReport",
    "FileSettings",
    "FileTask",
    "Result",
    "enhance_file",
    "find_audio",
    "plan",
    "plan_urls",
    "process_file",
    "run",
    "run_urls",
    "separate_file",
]
