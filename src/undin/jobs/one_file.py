"""One file in one call: `enhance_file` and `separate_file`."""

import os
from collections.abc import Sequence
from typing import Any

from undin.audio.reader import Truncated
from undin.errors import InputError
from undin.jobs.process import FileReport, process_file
from undin.methods import DEFAULT, SEPARATOR, Method, Nan, Talkers, find_enhancer, find_separator, find_voice

Path = str | os.PathLike[str]


def enhance_file(
    path: Path,
    out: Path,
    *,
    method: str | os.PathLike[str] | Method = DEFAULT,
    limit_db: float | None = None,
    independent: bool = False,
    nan: Nan = "raise",
    truncated: Truncated = "raise",
    loudness: float | None = None,
    **settings: Any,
) -> FileReport:
    """Remove noise from the speech in a file; rate, channels, length, sample format and tags are kept.

    Args:
        path: audio file, or video with the extra `video`.
        out: output file, replaced if it exists; its extension chooses the container.
        method: as in `undin.enhance`.
        limit_db: maximum attenuation in dB; None for no limit.
        independent: process channels independently instead of with one linked gain.
        nan: "raise" at the first NaN or Inf, or "zero" to repair them.
        truncated: "raise" if the file is shorter than its header says, or "keep" the samples it has.
        loudness: loudness of the output in LUFS, e.g. -16 (ITU-R BS.1770-4), with peaks limited to -1 dBFS; None keeps
            the level.
        settings: changes to the method's config, by name.

    Returns:
        What was done: seconds, rate, channels, formats.

    Raises:
        InputError: the file cannot be read or written, or a setting breaks a rule.
    """
    model = find_enhancer(method, settings, "limit_db", "independent", "nan", "truncated", "loudness", "method")
    options: dict[str, Any] = {"limit_db": limit_db, "independent": independent, "nan": nan, "truncated": truncated}
    return process_file(model, os.fspath(path), os.fspath(out), loudness=loudness, **options)


def separate_file(
    path: Path,
    outs: Sequence[Path],
    *,
    talkers: Talkers = "auto",
    denoise: bool = False,
    residual: Path | None = None,
    voice: Path | None = None,
    rttm: Path | None = None,
    method: str | os.PathLike[str] | Method = SEPARATOR,
    nan: Nan = "raise",
    truncated: Truncated = "raise",
    loudness: float | None = None,
    **settings: Any,
) -> FileReport:
    """Separate the talkers in a file into one file each; they sum to the input, and a lone voice is the first output.

    Args:
        path: audio file, or video with the extra `video`.
        outs: output files, one for each talker, or one with `voice`; replaced if they exist.
        talkers, denoise: as in `undin.separate`.
        residual: output file for what is in none of the others: the noise, or all that is not `voice`.
        voice: audio file; only the talker who sounds like this is written.
        rttm: output file that says who talks when, in the format that tools for diarization read.
        method: as in `undin.separate`.
        nan: "raise" at the first NaN or Inf, or "zero" to repair them.
        truncated: "raise" if the file is shorter than its header says, or "keep" the samples it has.
        loudness: loudness of the output in LUFS, e.g. -16 (ITU-R BS.1770-4), with peaks limited to -1 dBFS; None keeps
            the level.
        settings: changes to the method's config, by name.

    Returns:
        What was done; `talkers` is how many talk, `near_silence` names the files of talkers that were not found.

    Raises:
        InputError: the file cannot be read or written, a setting breaks a rule, the method separates another number of
            talkers than there are files or cannot recognize voices, or nobody sounds like `voice`.
    """
    keywords = "talkers", "denoise", "residual", "voice", "rttm", "nan", "truncated", "loudness", "method"
    if isinstance(outs, (str, os.PathLike)):
        raise InputError(f"outs must be a list of files, one for each talker; got {os.fspath(outs)!r}")
    if voice is not None and not isinstance(voice, (str, os.PathLike)):
        raise InputError("voice must be a file; for an array of samples use undin.separate")
    number = len(outs) if talkers == "auto" and not voice else talkers
    model = find_separator(method, number, settings, *keywords)
    options: dict[str, Any] = {"talkers": talkers, "denoise": denoise, "nan": nan, "truncated": truncated}
    options |= {"residual": residual and os.fspath(residual), "rttm": rttm and os.fspath(rttm), "loudness": loudness}
    wanted = find_voice(model, voice, model.config.sr)
    return process_file(model, os.fspath(path), [os.fspath(out) for out in outs], voice=wanted, **options)
