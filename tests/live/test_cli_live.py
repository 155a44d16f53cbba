"""`undin live` without a device: help, the list, and errors in one line."""

import sys

import pytest

import undin.live
from undin.cli import main
from undin.live.devices import Device

KNOWN = [
    Device(0, "USB Microphone", "ALSA", 1, 0, 48000, (True, False)),
    Device(1, "Speakers", "ALSA", 0, 2, 44100, (False, True)),
]


def undin_live(*args):
    with pytest.raises(SystemExit) as end:
        main(["live", *args])
    return end.value.code


def test_a_compiled_network_reaches_the_loop(monkeypatch):
    compiled, found = [], []
    monkeypatch.setattr("undin.native.Compiled", lambda method, **_: compiled.append(method) or "network")
    monkeypatch.setattr("undin.methods.load", lambda method: f"{method} in Python")
    monkeypatch.setattr(undin.live, "SoundCard", lambda *_, **__: None)
    monkeypatch.setattr(undin.live, "run", lambda card, network, *_, **__: found.append(network))
    for args in (["--compiled"], [], ["--compiled", "-m", "lstm-mask"]):
        assert not undin_live(*args)
    assert found == ["network", "lull in Python", "network"] and compiled == ["lull", "lstm-mask"]


def test_list_shows_devices_with_numbers_channels_and_rates(monkeypatch, capsys):
    monkeypatch.setattr(undin.live, "sound_devices", lambda: KNOWN)
    assert undin_live("--list") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1] == ["0", "USB", "Microphone", "ALSA", "1", "48000", "Hz", "input"]
    assert lines[2] == ["1", "Speakers", "ALSA", "2", "44100", "Hz", "output"]


def test_a_virtual_microphone_has_no_other_output(capsys):
    assert undin_live("--virtual", "--output", "1") == 2
    assert "leave out --output" in capsys.readouterr().err


def test_without_pactl_the_error_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert undin_live("--virtual") == 2
    assert "install pulseaudio-utils" in capsys.readouterr().err


def test_without_sounddevice_the_error_names_the_extra(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert undin_live() == 2
    assert 'install "undin[live]"' in capsys.readouterr().err


def test_without_portaudio_the_error_names_the_library(monkeypatch, capsys):
    def missing(module, *, extra):
        raise OSError("PortAudio library not found")

    monkeypatch.setattr("undin.live.devices.require", missing)
    assert undin_live() == 2
    assert "libportaudio2" in capsys.readouterr().err
