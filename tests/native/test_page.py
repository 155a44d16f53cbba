from undin.native import build, write_page


def test_modules_that_were_built_before_need_no_compiler(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "BUILT", tmp_path / "built")
    monkeypatch.setattr(build, "build_wasm", None)
    build.BUILT.mkdir()
    for name in build.PAGE_MODELS:
        build.built_module(name).write_text(f"module of {name}")
    files = write_page(tmp_path / "site")
    assert {path.name for path in files} == {path.name for path in (tmp_path / "site").iterdir()}
    assert {"index.html", "undin.js", "worker.js"} <= {path.name for path in files}
    for name in build.PAGE_MODELS:
        assert (tmp_path / f"site/{name}.wasm").read_text() == f"module of {name}"
