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


def test_inputs_at_urls_need_an_output(undin, here):
    for words in (("enhance", "s3://bucket/in/a.wav"), ("separate", "s3://bucket/in/")):
        code, _, err = undin(*words)
        assert code == 2 and err.endswith("need -o, a folder or a URL, such as out/ or s3://bucket/out/\n")


@pytest.mark.parametrize(
    "words",
    [
        ("run", "nmf-kwon2016", "--from", "s3://bucket/run/"),
        ("export", "lull", "-o", "s3://bucket/run/"),
        ("corpus", "s3://bucket/run/"),
    ],
)
def test_a_url_where_only_a_path_can_be_is_one_line_with_the_cure(undin, here, words):
    code, out, err = undin(*words)
    assert (code, out) == (2, "") and not list(here.glob("s3*"))
    assert err == "undin: s3://bucket/run: a URL cannot be used here: use a path, and copy from or to the URL\n"


@pytest.mark.parametrize("error", [PermissionError(None, "Access Denied", "s3://b/in/"), OSError(5, "503", "s3://b/x")])
def test_errors_of_stores_are_one_line(undin, here, monkeypatch, error):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr("undin.jobs.plan_urls", fails)
    code, out, err = undin("enhance", "s3://b/in/", "-o", "s3://b/out/")
    cure = "check the URL, the credentials and the network"
    assert (code, out, err) == (1, "", f"undin: {error.filename}: {error.strerror}: {cure}\n")


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
