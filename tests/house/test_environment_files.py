"""pyproject.toml, requirements.lock and environment.yml tell one story."""

import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
CONDA_NAMES = {"torch": "pytorch"}


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def ranges(*extras: str) -> dict[str, Requirement]:
    """Direct requirements of the core and of the extras, by canonical name, ourselves left out."""
    texts = list(project()["dependencies"])
    for extra in extras:
        texts += project()["optional-dependencies"][extra]
    found = [Requirement(text) for text in texts]
    return {canonicalize_name(r.name): r for r in found if canonicalize_name(r.name) != "distill-lib"}


def locked() -> list[Requirement]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]


def locked_here() -> dict[str, str]:
    """Versions the lock gives on this platform, by canonical name."""
    return {
        canonicalize_name(r.name): next(iter(r.specifier)).version
        for r in locked()
        if r.marker is None or r.marker.evaluate()
    }


def conda_ranges() -> dict[str, SpecifierSet]:
    entries: list[str] = []
    for entry in yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]:
        entries += entry["pip"] if isinstance(entry, dict) else [entry]
    requirements = [Requirement(entry) for entry in entries if entry not in ("pip", "-e .")]
    return {canonicalize_name(r.name): r.specifier for r in requirements}


def test_lock_pins_everything_exactly_and_names_no_index():
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text
    assert "--" not in text
    for requirement in locked():
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", requirement
        assert "+" not in specifier.version, f"{requirement} pins a build; pin the version alone"


def test_lock_satisfies_every_range_of_pyproject():
    pins = locked_here()
    for name, requirement in ranges("train", "book", "dev").items():
        assert name in pins, f"{name} is in pyproject.toml but not in requirements.lock: run `make lock`"
        assert requirement.specifier.contains(pins[name], prereleases=True), (
            f"{requirement} but {pins[name]} locked"
        )


def test_lock_is_closed_under_what_the_installed_packages_require():
    pins = locked_here()
    seen: set[str] = set()
    queue = [(name, frozenset(r.extras)) for name, r in ranges("train", "book", "dev").items()]
    while queue:
        name, extras = queue.pop()
        if name in seen:
            continue
        seen.add(name)
        assert name in pins, f"{name} is needed but not locked: run `make lock`"
        installed = distribution(name).version.split("+")[0]
        assert installed == pins[name], (
            f"{name} {installed} is installed, {pins[name]} is locked: run `make distclean setup`"
        )
        for text in distribution(name).requires or []:
            child = Requirement(text)
            environments = [{"extra": extra} for extra in extras] or [{"extra": ""}]
            wanted = child.marker is None or any(
                child.marker.evaluate(environment) for environment in environments
            )
            # Torch's CUDA companions are left to pip: a machine with a CPU build has none of them.
            if wanted and not re.match(r"nvidia-|cuda-|triton$", child.name):
                queue.append((canonicalize_name(child.name), frozenset(child.extras)))
    assert len(seen) > 100


def test_conda_users_get_the_same_ranges():
    conda = conda_ranges()
    for name, requirement in ranges("train", "book", "parquet").items():
        ours = CONDA_NAMES.get(name, name)
        assert ours in conda, f"{name} is in pyproject.toml but not in environment.yml"
        assert conda[ours] == requirement.specifier, (
            f"{name}: {conda[ours]} in environment.yml, {requirement.specifier} here"
        )
    assert conda["python"] == SpecifierSet(project()["requires-python"])


def test_environment_yml_asks_for_nothing_unknown():
    known = {CONDA_NAMES.get(name, name) for name in ranges("train", "book", "parquet", "dev")} | {"python"}
    assert set(conda_ranges()) <= known


@pytest.mark.parametrize(
    "name",
    ["jupyter-book", "jupyterlab", "numpy", "scipy", "pandas", "matplotlib", "seaborn", "torch", "nbmake"],
)
def test_the_packages_the_project_is_built_on_are_required(name):
    assert name in ranges("train", "book", "dev")


def test_one_version_and_one_address():
    import distill_lib

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    assert citation["version"] == distill_lib.__version__
    assert f"## {distill_lib.__version__}" in (ROOT / "CHANGELOG.md").read_text()
    addresses = {
        citation["repository-code"],
        config["repository"]["url"],
        config["sphinx"]["config"]["html_theme_options"]["repository_url"],
        project()["urls"]["Homepage"],
    }
    assert len(addresses) == 1, addresses
