"""Files by HTTP: the same bytes as the command line, and every refusal."""

import errno
import io
import json
import re
import socket
import zipfile
from pathlib import Path

import pytest
from serve_running import eventually, running, signal

import undin
from undin.errors import WeightsError
from undin.jobs import process_file
from undin.native import page_files
from undin.serve import Limits, listen, openapi
from undin.serve.files import FORMATS, NAME
from undin.serve.models import Models


def expected(tmp_path, source, name, method="hush", **settings):
    """What the command line writes: it calls the same function."""
    target = tmp_path / name
    process_file(undin.load(method), str(source), str(target), **settings)
    return target.read_bytes()


@pytest.mark.parametrize("n_channels, sr, extension", [(1, 16000, "wav"), (2, 44100, "flac"), (1, 8000, "aiff")])
def test_enhanced_file_is_bit_equal_to_the_command_lines(server, tmp_path, n_channels, sr, extension):
    source = tmp_path / f"audio.{extension}"
    undin.write(source, signal(sr, 0.7, n_channels), sr)
    answer = server.post("/v1/enhance", source.read_bytes(), headers={"content-type": "application/octet-stream"})
    assert answer.status_code == 200
    assert answer.content == expected(tmp_path, source, f"out.{extension}")
    assert answer.headers["content-disposition"] == f'attachment; filename="audio.enhanced.{extension}"'
    report = json.loads(answer.headers["undin-report"])
    assert (report["sr"], report["n_channels"], report["changed"]) == (sr, n_channels, None)
    assert not any(str(value).startswith("/") for value in report.values())


def test_method_strength_and_format_are_those_of_the_query(server, tmp_path, noisy):
    answer = server.post("/v1/enhance", noisy.read_bytes(), method="log-mmse", limit_db=6, format="flac")
    assert answer.content == expected(tmp_path, noisy, "out.flac", "log-mmse", limit_db=6.0)
    assert answer.headers["content-type"] == "audio/flac"


@pytest.mark.parametrize("extension", ["ogg", "opus", "mp3"])
def test_compressed_files_keep_their_format(server, tmp_path, extension):
    source = tmp_path / f"in.{extension}"
    undin.write(source, signal(48000, 0.5), 48000)
    answer = server.post("/v1/enhance", source.read_bytes(), method="spectral-gate")
    out = tmp_path / f"out.{extension}"
    out.write_bytes(answer.content)
    before, after = undin.info(source), undin.info(out)
    assert (before.container, before.subtype, before.sr) == (after.container, after.subtype, after.sr)
    assert answer.headers["content-disposition"].endswith(f'.{extension}"')


def test_separated_talkers_are_bit_equal_in_a_zip(server, tmp_path, noisy):
    answer = server.post("/v1/separate", noisy.read_bytes(), method="lstm-mask")
    names = [str(tmp_path / f"{NAME}.{i}.wav") for i in (1, 2)]
    process_file(undin.load("lstm-mask"), str(noisy), names)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert [f"{tmp_path}/{name}" for name in archive.namelist()] == names
        for name in names:
            assert archive.read(Path(name).name) == Path(name).read_bytes()


def refusal(answer):
    """Status, code and message of an error in the one shape that errors have."""
    assert answer.headers["content-type"] == "application/json"
    (error,) = answer.json().values()
    assert set(error) == {"code", "message"} and "\n" not in error["message"]
    return answer.status_code, error["code"], error["message"]


@pytest.mark.parametrize(
    "path, params, status, words",
    [
        ("enhance", {"method": "lul"}, 422, "unknown method 'lul': did you mean lull?"),
        ("enhance", {"method": "/etc/passwd"}, 422, "unknown method"),
        ("enhance", {"method": "blstm-mask"}, 422, "use /v1/separate"),
        ("separate", {"method": "lull"}, 422, "use /v1/enhance"),
        ("separate", {"method": "blstm-mask", "talkers": 3}, 422, "deep-clustering"),
        ("separate", {"limit_db": 3}, 422, "limit_db"),
        ("enhance", {"limit_db": -1}, 422, "limit_db must be"),
        ("enhance", {"limit_db": "nan"}, 422, "limit_db must be"),
        ("enhance", {"limit_db": "x"}, 422, "limit_db must be"),
        ("enhance", {"format": "../x"}, 422, "format must be one of wav"),
        ("enhance", {"limit": 3}, 422, "did you mean limit_db?"),
        ("enhance", {"talkers": 2}, 422, "unknown setting 'talkers'"),
    ],
)
def test_wrong_settings_are_refused(server, noisy, path, params, status, words):
    found, _, message = refusal(server.post(f"/v1/{path}", noisy.read_bytes(), **params))
    assert found == status and words in message


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "multipart/form-data; boundary=x"])
def test_wrong_type_is_refused(server, content_type):
    answer = server.post("/v1/enhance", b"{}", headers={"content-type": content_type})
    assert refusal(answer)[:2] == (415, "wrong_type")


@pytest.mark.parametrize("body", [b"", b"not a sound file" * 100, b"RIFF\x00\x00\x01\x00WAVEfmt "])
def test_bad_audio_gets_undins_own_error_without_paths(server, body):
    status, code, message = refusal(server.post("/v1/enhance", body))
    assert (status, code) == (422, "bad_audio")
    assert message.startswith("audio") and "/tmp" not in message


def test_truncated_and_nan_are_bad_audio(server, tmp_path, noisy):
    assert refusal(server.post("/v1/enhance", noisy.read_bytes()[:-100]))[:2] == (422, "bad_audio")
    path = tmp_path / "nan.wav"
    x = signal(16000, 0.5)
    undin.write(path, x, 16000, subtype="FLOAT")
    body = path.read_bytes()
    assert refusal(server.post("/v1/enhance", body[:-4] + b"\xff\xff\xff\x7f"))[:2] == (422, "bad_audio")


def test_unknown_paths_and_verbs_have_the_same_shape(server):
    assert refusal(server.http.get("/v1/nothing"))[:2] == (404, "not_found")
    answer = server.http.get("/v1/enhance")
    assert refusal(answer)[0] == 405 and answer.headers["allow"] == "POST"
    example = f"curl -X POST -T noisy.wav -o out.wav {server.url}/v1/enhance"
    assert refusal(answer)[2] == f"/v1/enhance does not accept GET: use POST, e.g. {example}"
    answer = server.http.post("/v1/methods")
    assert answer.headers["allow"] == "GET, HEAD" and "use GET, HEAD, e.g. curl http://" in refusal(answer)[2]
    assert "/v1/stream is a WebSocket" in refusal(server.http.get("/v1/stream"))[2]


def test_bodies_above_the_limit_are_refused_with_and_without_a_length(noisy):
    with running(Limits(body_mb=0.02)) as server:
        body = noisy.read_bytes()
        assert refusal(server.post("/v1/enhance", body))[:2] == (413, "too_large")
        chunked = (body[i : i + 1000] for i in range(0, len(body), 1000))
        assert refusal(server.post("/v1/enhance", chunked))[:2] == (413, "too_large")


def test_long_recordings_in_small_files_are_refused(tmp_path):
    source = tmp_path / "long.flac"
    undin.write(source, signal(8000, 5.0) * 0, 8000)
    with running(Limits(channel_hours=4 / 3600)) as server:
        assert refusal(server.post("/v1/enhance", source.read_bytes()))[:2] == (413, "too_long")


def upload(server, n_bytes, body=b"RIFF"):
    """Start an upload that may promise more than it sends."""
    client = socket.create_connection(server.url.removeprefix("http://").split(":"))
    head = (
        f"POST /v1/enhance HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: audio/wav\r\nContent-Length: {n_bytes}\r\n\r\n"
    )
    client.sendall(head.encode() + body)
    return client


def places(server):
    return float(re.search(r"^undin_files (.+)$", server.http.get("/metrics").text, re.M)[1])


def test_full_queue_is_refused_and_is_free_again_when_clients_go(noisy):
    with running(Limits(jobs=1, queue=1)) as server:
        waiting = [upload(server, 1000) for _ in range(2)]
        eventually(lambda: places(server) == 2)
        answer = server.post("/v1/enhance", noisy.read_bytes())
        assert refusal(answer)[:2] == (503, "busy") and int(answer.headers["retry-after"]) > 0
        for client in waiting:
            client.close()
        eventually(lambda: places(server) == 0)
        assert server.post("/v1/enhance", noisy.read_bytes(), method="spectral-gate").status_code == 200


def test_silent_upload_ends_after_the_idle_timeout():
    with running(Limits(idle_s=0.3)) as server, upload(server, 1000) as client:
        client.settimeout(30)
        head, _, body = client.makefile("rb").read().partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408") and json.loads(body)["error"]["code"] == "idle"


def test_a_full_disk_is_refused_while_the_body_arrives(monkeypatch, noisy):
    original = Path.open

    def open_(path, mode="r", *rest, **more):
        if path.name == NAME and mode == "wb":
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(path, mode, *rest, **more)

    with running() as server:
        monkeypatch.setattr(Path, "open", open_)
        answer = server.post("/v1/enhance", noisy.read_bytes())
        assert refusal(answer)[:2] == (507, "no_space") and places(server) == 0


def test_client_that_leaves_stops_the_work(tmp_path, monkeypatch):
    """The work ends at its next block, and its folder is removed."""
    folder = tmp_path / "spool"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    source = tmp_path / "long.wav"
    undin.write(source, signal(16000, 60.0), 16000)
    with running() as server:
        body = source.read_bytes()
        with upload(server, len(body), body):
            eventually(lambda: list(folder.glob("*/.*.part")))
        eventually(lambda: places(server) == 0 and not list(folder.iterdir()))
        assert "undin_file_audio_seconds_total 60" not in server.http.get("/metrics").text


def test_without_a_token_other_sites_and_hosts_are_refused(server):
    for headers, code in (
        ({"origin": "https://evil.example"}, "wrong_origin"),
        ({"origin": "null"}, "wrong_origin"),
        ({"origin": "http://["}, "wrong_origin"),
        ({"host": "evil.example"}, "wrong_host"),
    ):
        assert refusal(server.http.get("/v1/methods", headers=headers))[:2] == (403, code)
    assert server.http.get("/v1/methods", headers={"origin": server.url}).status_code == 200


def test_with_a_token_only_requests_that_carry_it_are_served(noisy):
    with running(token="correct horse") as server:
        for given in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic correct horse"}):
            answer = server.http.post("/v1/enhance", content=noisy.read_bytes(), headers=given)
            assert refusal(answer)[:2] == (401, "unauthorized") and answer.headers["www-authenticate"] == "Bearer"
        right = {"authorization": "Bearer correct horse"}
        assert server.http.get("/v1/methods", headers=right).status_code == 200
        for path in ("/metrics", "/openapi.json"):
            assert server.http.get(path).status_code == 401
        for path in ("/", "/upload", "/page.js", "/healthz"):
            assert server.http.get(path).status_code == 200


def test_methods_are_listed(server):
    rows = {row["id"]: row for row in server.http.get("/v1/methods").json()["methods"]}
    assert set(rows) == set(undin.METHODS) and list(rows)[:3] == ["hush", "lull", "blstm-mask"]  # the defaults first
    assert [name for name in rows if rows[name]["default"]] == ["hush", "lull", "blstm-mask"]
    assert rows["lull"]["live"] and not rows["blstm-mask"]["live"] and rows["blstm-mask"]["talkers"] == 2


def test_methods_that_cannot_run_are_not_listed(monkeypatch):
    def damaged(name, **settings):
        if name == "dnn":
            raise WeightsError("dnn.onnx is damaged")
        return undin.load(name, **settings)

    monkeypatch.setattr("undin.serve.models.load", damaged)
    assert {row["id"] for row in Models().rows()} == set(undin.METHODS) - {"dnn"}


def test_metrics_count_answers(server):
    def count():
        found = re.search(r'undin_requests_total{path="/healthz",status="200"} (\d+)', server.http.get("/metrics").text)
        return int(found[1]) if found else 0

    before = count()
    server.http.get("/healthz")
    assert count() == before + 1


def test_openapi_describes_every_route(server):
    described = server.http.get("/openapi.json").json()
    assert described == openapi() and described["info"]["version"] == undin.__version__
    assert set(described["paths"]) == {route.path for route in server.app.routes}
    assert {"wav", "flac", "mp3"} <= set(FORMATS)


def test_upload_page_runs_only_its_own_script(server):
    answer = server.http.get("/upload")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and policy.count("sha256-") == 2
    assert not re.search(r'(src|href)="(?!data:)', answer.text)


def test_many_requests_leave_no_places_and_no_files(server, noisy, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for _ in range(50):
        server.post("/v1/enhance", noisy.read_bytes()[:500])
    assert places(server) == 0 and not list(tmp_path.iterdir())


def test_the_page_for_browsers_is_at_the_root(server):
    """Where `make wasm` has built its modules; else the upload page is there."""
    answer = server.http.get("/")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/html")
    if "lull.wasm" not in page_files():
        assert answer.text == server.http.get("/upload").text
        return
    assert answer.headers["content-security-policy"] == "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'"
    assert "data-served" not in answer.text and "<label hidden>Server token" in answer.text  # this server has none
    assert '<a href="upload">' in answer.text
    for name, path in page_files().items():
        file = server.http.get(f"/{name}")
        assert file.content == path.read_bytes() and file.headers["x-content-type-options"] == "nosniff"
    assert server.http.get("/lull.wasm").headers["content-type"] == "application/wasm"
    for name in ("nothing.js", "..%2fapp.py", "%2e%2e"):
        assert server.http.get(f"/{name}").status_code == 404


def test_answers_do_not_wait_for_acknowledgements():
    """A socket made without its protocol leaves Nagle's algorithm on, and every small answer takes 40 ms longer."""
    with listen("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        connection, _ = listening.accept()
        with connection:
            assert connection.proto == socket.IPPROTO_TCP  # what asyncio asks for before it sets TCP_NODELAY
