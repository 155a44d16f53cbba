"""File, pipe, array <-> x: output keeps the rate, channels, length, level and format of the input.

    check.py    check_audio, the check at the public door; resample, the one resampler
    files.py    read, write, blocks, info: whole files in one call
    open.py     open_reader, open_writer: the right reader or writer for a source or a target
    reader.py   Reader: files, pipes and headerless samples, block by block
    writer.py   Writer: a temporary file that is renamed; or a stream, flushed block by block
    part.py     the file in the making, with its disk errors
    format.py   AudioFormat, what a file is; format_for, what an output becomes; compression, bit rates
    level.py    rms; active_level_db: how loud speech is without its pauses
    loudness.py LoudnessMeter: the loudness of a program, ITU-R BS.1770-4
    limiter.py  Limiter, for integer formats: nothing exceeds full scale, nothing else is touched
    samples.py  bytes and integers <-> floats, exactly
    riff.py     WAV headers of pipes; how much sound a header promises
    source.py   bytes in, from a path, a pipe or a file object
    tags.py     ID3 for MP3
    mp3.py      MP3 files that do not say how long they are
    video.py    the sound of .mp4, .mov, .mkv, .webm, .m4a, the picture untouched [video]

Sound is (n_channels, n_samples) in blocks, (n_samples,) for one channel from `read`; full scale is 1.0.
"""

from undin.audio.check import MOST_CHANNELS, MOST_TALKERS, check_audio, check_axes, check_finite, check_rate, resample
from undin.audio.files import blocks, info, read, write
from undin.audio.format import AS_M4A, EXTENSIONS, VIDEO_EXTENSIONS, AudioFormat, format_for, parse_raw
from undin.audio.level import active_level_db, rms, rms_db
from undin.audio.limiter import Limiter
from undin.audio.open import open_reader, open_writer
from undin.audio.reader import Reader
from undin.audio.writer import Writer

__all__ = [
    "AS_M4A",
    "EXTENSIONS",
    "MOST_CHANNELS",
    "MOST_TALKERS",
    "VIDEO_EXTENSIONS",
    "AudioFormat",
    "Limiter",
    "Reader",
    "Writer",
    "active_level_db",
    "blocks",
    "check_audio",
    "check_axes",
    "check_finite",
    "check_rate",
    "format_for",
    "info",
    "open_reader",
    "open_writer",
    "parse_raw",
    "read",
    "resample",
    "rms",
    "rms_db",
    "write",
]
