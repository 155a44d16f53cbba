"""pipecat's own transport and pipeline, offline: an input transport that reads packets of a file."""

import asyncio
import warnings

import numpy as np
import pytest
from packets_of import RATES, expected, joined, noisy, packets

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pipecat.frames.frames import EndFrame, FilterEnableFrame, InputAudioRawFrame, StartFrame
    from pipecat.pipeline.pipeline import Pipeline
    from pipecat.pipeline.runner import PipelineRunner
    from pipecat.pipeline.task import PipelineParams, PipelineTask
    from pipecat.processors.frame_processor import FrameProcessor
    from pipecat.transports.base_input import BaseInputTransport
    from pipecat.transports.base_transport import TransportParams

from undin.errors import InputError
from undin.plugins.pipecat import UndinFilter

pytestmark = pytest.mark.filterwarnings("ignore")  # of the framework


def filtered(filter, sr, data):
    async def work():
        await filter.start(sr)
        answers = [await filter.filter(packet) for packet in data]
        await filter.stop()
        return answers

    return asyncio.run(work())


@pytest.mark.parametrize("sr", RATES)
def test_sound_is_that_of_stream_and_packets_keep_their_size(sr):
    q = noisy(sr)
    data = packets(q, sr)
    answers = filtered(UndinFilter(), sr, data)
    assert [len(answer) for answer in answers] == [len(packet) for packet in data]
    assert np.abs(joined(answers) - expected(q, sr)).max() <= 1


def test_strength_and_stereo():
    q = noisy(16000, n_channels=2)
    answers = filtered(UndinFilter(limit_db=6, n_channels=2), 16000, packets(q, 16000))
    assert np.abs(joined(answers, 2) - expected(q, 16000, limit_db=6)).max() <= 1


def test_disabled_it_passes_the_delayed_input_and_back():
    q, sr = noisy(16000), 16000
    data = packets(q, sr)
    filter = UndinFilter()

    async def work():
        await filter.process_frame(FilterEnableFrame(False))
        await filter.start(sr)
        answers = [await filter.filter(packet) for packet in data]
        await filter.process_frame(FilterEnableFrame(True))
        again = [await filter.filter(packet) for packet in data]
        await filter.process_frame(FilterEnableFrame(False))
        return answers, again

    answers, again = asyncio.run(work())
    delay = round(filter.latency_ms * sr / 1000)
    assert np.abs(joined(answers)[:, delay:] - q[:, :-delay]).max() <= 1
    late = slice(sr, None)
    assert np.std(joined(again)[:, late]) < 0.95 * np.std(q[:, late])


def test_before_the_start_it_passes_the_input():
    filter = UndinFilter()
    assert asyncio.run(filter.filter(bytes(640))) == bytes(640)


def test_methods_that_cannot_run_live_are_refused():
    with pytest.raises(InputError):
        filtered(UndinFilter("blstm-mask"), 16000, [bytes(640)])


class File(BaseInputTransport):
    """An input transport that sends packets of a file."""

    def __init__(self, data, params, sr):
        super().__init__(params)
        self._data, self._sr = data, sr

    async def start(self, frame: StartFrame):
        await super().start(frame)
        await self.set_transport_ready(frame)
        for packet in self._data:
            await self.push_audio_frame(InputAudioRawFrame(audio=packet, sample_rate=self._sr, num_channels=1))


class Collector(FrameProcessor):
    def __init__(self, n, sink):
        super().__init__()
        self._n, self.sink = n, sink
        self.done = asyncio.Event()

    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            self.sink.append(frame.audio)
            if len(self.sink) == self._n:
                self.done.set()
        await self.push_frame(frame, direction)


@pytest.mark.parametrize("sr", RATES)
def test_a_pipeline_on_a_file(sr):
    q, got = noisy(sr, 1.0), []
    data = packets(q, sr)

    async def work():
        params = TransportParams(
            audio_in_enabled=True, audio_in_sample_rate=sr, audio_in_passthrough=True, audio_in_filter=UndinFilter()
        )
        collector = Collector(len(data), got)
        task = PipelineTask(
            Pipeline([File(data, params, sr), collector]),
            params=PipelineParams(audio_in_sample_rate=sr),
            idle_timeout_secs=None,
        )

        async def end():
            await asyncio.wait_for(collector.done.wait(), 60)
            await task.queue_frame(EndFrame())

        await asyncio.gather(PipelineRunner(handle_sigint=False).run(task), end())

    asyncio.run(work())
    assert np.abs(joined(got) - expected(q, sr)).max() <= 1
