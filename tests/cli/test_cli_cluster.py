"""`--on`: what is asked for without Ray, and that nothing loads it that does not ask."""

import subprocess
import sys

import pytest

COMMANDS = [
    ("enhance", "a.wav"),
    ("separate", "a.wav"),
    ("mix", "-o", "mixed"),
    ("evaluate", "a.csv", "-m", "lull"),
    ("pack", ".", "-o", "a.pack"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_without_ray_one_line_says_what_to_install(undin, here, monkeypatch, command):
    monkeypatch.setitem(sys.modules, "ray", None)
    code, out, err = undin(*command, "--on", "ray")
    assert (code, out) == (2, "")
    assert err.startswith("undin: ray is required but not installed: ") and err.endswith('pip install "undin[ray]"\n')
    assert err.count("\n") == 1


def test_without_fsspec_one_line_says_what_to_install(undin, here, monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    for command in ("enhance", "separate"):
        code, out, err = undin(command, "s3://bucket/in/", "-o", "s3://bucket/out/")
        assert (code, out) == (2, "")
        assert err.startswith("undin: fsspec is required but not installed: ")
        assert err.endswith('pip install "undin[cloud]"\n') and err.count("\n") == 1


def test_outputs_of_urls_are_urls(undin, here):
    code, _, err = undin("enhance", "s3://bucket/in/", "-o", "out/")
    assert code == 2 and "-o must be a URL where inputs or outputs are URLs" in err and err.endswith("got out/\n")
    code, _, err = undin("enhance", "s3://bucket/in/a.wav")
    assert code == 2 and err.endswith("got None\n")


def test_only_ray_is_a_cluster_and_a_recipe_runs_here(undin, here):
    code, _, err = undin("enhance", "a.wav", "--on", "slurm")
    assert (code, err) == (2, "undin: --on must be ray or ray://HOST:PORT; got slurm\n")
    for command in (("mix", "nmf-kwon2016"), ("evaluate", "nmf-kwon2016")):
        code, _, err = undin(*command, "--on", "ray")
        assert code == 2 and "a recipe runs on one machine: leave out --on" in err
    code, _, err = undin("enhance", "a.wav", "--on", "ray", "--num-cpus", "0")
    assert code == 2 and "a worker needs num_cpus or num_gpus above 0; got 0 and 0" in err


def test_files_are_enhanced_without_loading_what_clusters_and_buckets_need(here):
    script = (
        "import sys\nfrom undin.cli import main\ntry:\n    main(['enhance', 'a.wav', '-m', 'spectral-gate'])\n"
        "except SystemExit as end:\n    print(end.code, sorted({'ray', 'fsspec', 's3fs'} & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "0 []" and not done.stderr
