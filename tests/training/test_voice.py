"""Learning voices: who counts, what is compared with what, and that a network comes to tell talkers apart."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from undin.errors import InputError
from undin.methods.talker_masks import MaskConfig
from undin.methods.twain import TwainConfig
from undin.mixing.examples import PERSON
from undin.training.batch import Batch
from undin.training.checkpoint import load_weights
from undin.training.data import stack, to_batch
from undin.training.fit import fit
from undin.training.logs import read_log
from undin.training.nets import NETS
from undin.training.options import Options
from undin.training.voice import TEMPERATURE, contrast, speak_enough, voice_losses

SR = 8000
RETURNING = torch.tensor([[0, 1], [0, 1], [2, 3], [2, 3]]) * PERSON
MASKS = MaskConfig(sr=SR, n_fft=128, hop_length=64, n_layers=1, n_hidden=16, dropout=0.0, target="signal", voice=6)
BANDS = TwainConfig(sr=SR, n_fft=128, hop_length=64, band_bins=(4,) * 8 + (16,) * 2, channels=12, blocks=1)
BANDS = replace(BANDS, scene=8, scene_channels=2, heads=2, voice=6)


def units(*shape: int) -> torch.Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(0)), dim=-1)


def test_who_speaks_for_less_than_a_second_does_not_count():
    sources = 0.1 * torch.randn(1, 3, 4 * SR)
    sources[0, 0, : 2 * SR] = 0
    sources[0, 1, SR // 2 :] = 0
    sources[0, 2] = 0
    assert speak_enough(sources, 400, SR).tolist() == [[True, False, False]]


def test_loss_is_the_cross_entropy_of_returning_talkers_against_other_people():
    v, speaks = units(4, 2, 5), torch.tensor([[True, True], [True, True], [True, True], [False, True]])
    who = torch.tensor([[0, 1], [0, 1], [2, 3], [2, 3]]) * PERSON
    who[2, 1] = PERSON + 1  # the second person, at another speed, who does not return
    z, ids = v.flatten(0, 1)[speaks.flatten()], who.flatten()[speaks.flatten()]
    total, n = 0.0, 0
    for i, (mine, me) in enumerate(zip(z, ids, strict=True)):
        pair = [k for k in range(len(z)) if k != i and ids[k] == me]
        others = [k for k in range(len(z)) if ids[k] // PERSON != me // PERSON]
        if pair:
            total, n = total - float(torch.log_softmax(z[pair + others] @ mine / TEMPERATURE, 0)[0]), n + 1
    assert n == 4 and float(contrast(v, speaks, who)[0]) == pytest.approx(total / n, rel=1e-4)
    assert contrast(v, ~speaks & speaks, who) == (0, 0)


def test_accuracy_is_the_share_of_talkers_found_among_all_people():
    v, speaks = torch.eye(4)[RETURNING // PERSON], torch.ones(4, 2, dtype=torch.bool)
    assert contrast(v, speaks, RETURNING)[1] == 1
    v[3, 0] *= -1  # of the four people, one is no longer found, neither here nor there
    assert contrast(v, speaks, RETURNING)[1] == 0.75
    speaks[2, 0] = False
    assert contrast(v, speaks, RETURNING)[1] == 1
    assert contrast(v, speaks, PERSON * torch.arange(8).reshape(4, 2))[1] == 0


def test_voices_follow_the_order_of_the_outputs_and_the_level():
    sources = 0.1 * torch.randn(4, 2, 2 * SR)
    V, level = units(4, 2, 50, 6), torch.rand(4, 2, 50)
    batch = Batch(sources.sum(1), sources.sum(1), 0 * sources[:, 0], SR, sources, voices=RETURNING)
    straight, crossed = torch.tensor([[0, 1]] * 4), torch.tensor([[1, 0], *[[0, 1]] * 3])
    ref = voice_losses(V, level, straight, sources, batch)
    V_crossed, level_crossed = (torch.cat([x[:1].flip(1), x[1:]]) for x in (V, level))
    found = voice_losses(V_crossed, level_crossed, crossed, sources, batch)
    torch.testing.assert_close(found["voice"], ref["voice"])
    assert abs(voice_losses(V, level.flip(-1), straight, sources, batch)["voice"] - ref["voice"]) > 1e-4
    garbage = torch.where(torch.arange(50)[:, None] % 2 == 0, V, -50.0)  # a step without level says nothing
    heard = level * (torch.arange(50) % 2 == 0)
    torch.testing.assert_close(
        voice_losses(garbage, heard, straight, sources, batch)["voice"],
        voice_losses(V, heard, straight, sources, batch)["voice"],
    )


def mixtures(n: int, rng: torch.Generator) -> Batch:
    """Two talkers of 1.6 s, each a buzz of its own pitch and color that wavers, and each in two mixtures."""
    t = torch.arange(round(1.6 * SR)) / SR
    pitch = torch.stack([110 + 60 * torch.rand(n, generator=rng), 230 + 120 * torch.rand(n, generator=rng)], 1)
    k = torch.arange(1, 8)
    color = torch.rand(n, 2, 7, generator=rng) ** 2
    pitch, color = (x.repeat_interleave(2, 0) for x in (pitch, color))
    phase = (
        2 * math.pi * (pitch[..., None] * t + 0.3 * torch.cumsum(torch.randn(2 * n, 2, len(t), generator=rng), -1) / SR)
    )
    sources = 0.05 * torch.einsum("bsk,bskt->bst", color, torch.sin(k[:, None] * phase[:, :, None]))
    voices = PERSON * torch.arange(2 * n).reshape(n, 2).repeat_interleave(2, 0)
    return Batch(sources.sum(1), sources.sum(1), 0 * sources[:, 0], SR, sources, voices=voices)


@pytest.mark.parametrize(("name", "config"), [("blstm-mask", MASKS), ("twain", BANDS)])
def test_a_network_learns_to_tell_voices_apart(name, config):
    torch.manual_seed(0)
    net, rng = NETS[name](config).train(), torch.Generator().manual_seed(1)
    net.calibrate([mixtures(12, rng)])
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    found = []
    for _ in range(60):
        losses = net.loss(mixtures(4, rng))
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
        row = {key: float(value.detach()) for key, value in losses.items()}
        found.append(row)
    first, last = ({key: np.mean([row[key] for row in rows]) for key in row} for rows in (found[:5], found[-10:]))
    assert last["voice"] < 0.6 * first["voice"] and last["voice_accuracy"] > 0.95
    assert last["loss"] < first["loss"] - 1


def test_a_voice_needs_one_order():
    with pytest.raises(InputError, match="one order throughout the example"):
        MaskConfig(objective="pit", voice=8)
    with pytest.raises(InputError, match="voice must be a whole number, 0 to 256"):
        TwainConfig(voice=300)


class Mixtures:
    """Examples of `mixtures`, with or without the numbers of the voices."""

    sr, n_samples = SR, round(1.6 * SR)

    def __init__(self, *, twice: bool = True) -> None:
        self.twice = twice

    def __getitem__(self, i: int) -> SimpleNamespace:
        x = mixtures(1, torch.Generator().manual_seed(i // 2)).sources[i % 2].numpy()
        who = (2 * PERSON * (i // 2), 2 * PERSON * (i // 2) + PERSON) if self.twice else ()
        return SimpleNamespace(noisy=x.sum(0), speech=x.sum(0), sources=x, voices=who)


def test_a_training_logs_the_voices_and_may_start_from_weights_without_them(tmp_path, capsys):
    options = Options(steps=2, batch=4, n_valid=4, n_calibrate=1, workers=0, threads=1, tensorboard=False, log_every=1)
    settings = {"options": options, "train": Mixtures(), "valid": Mixtures()}
    bare = fit("twain", replace(BANDS, voice=0), folder=tmp_path / "bare", **settings)
    assert "voice" not in read_log(tmp_path / "bare/log.csv")[-1] and not capsys.readouterr().err
    voiced = fit("twain", BANDS, folder=tmp_path / "voiced", start_from=bare.last, **settings)
    assert "has no describer: these start from random weights, all others are loaded" in capsys.readouterr().err
    row = read_log(tmp_path / "voiced/log.csv")[-1]
    assert row["train_voice"] > 0 and row["valid_voice"] > 0 and 0 <= row["valid_voice_accuracy"] <= 1
    assert row["valid_loss"] == pytest.approx(row["valid_masks"] + row["valid_voice"], rel=1e-4)
    again = fit("twain", replace(BANDS, voice=0), folder=tmp_path / "again", start_from=voiced.best, **settings)
    assert load_weights(again.best).net.voice == 0
    assert to_batch(stack(Mixtures(), [4, 7]), SR).voices.tolist() == [[4000, 5000], [6000, 7000]]
    fit("twain", BANDS, folder=tmp_path / "blind", **{**settings, "valid": Mixtures(twice=False)})
    row = read_log(tmp_path / "blind/log.csv")[-1]
    assert math.isnan(row["valid_voice"]) and row["train_voice"] > 0
    with pytest.raises(InputError, match=r"set mixing.twice = true"):
        fit("twain", BANDS, folder=tmp_path / "c", **{**settings, "train": Mixtures(twice=False)})
