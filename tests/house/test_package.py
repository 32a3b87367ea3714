"""What a user of the package meets: a light import, a wheel that carries its tables, errors with a remedy."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

HIDE_TORCH = """
import importlib.abc, sys
class Hide(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('torch', 'tokenizers'):
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)
sys.meta_path.insert(0, Hide())
"""


def run(code: str, *, cwd: Path, path: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter that finds the package in one place only."""
    prefix = (
        f"import sys; sys.path[:] = [{str(path)!r}, *(p for p in sys.path if p not in ('', {str(ROOT)!r}))]\n"
    )
    return subprocess.run(
        [sys.executable, "-c", prefix + code], cwd=cwd, capture_output=True, text=True, check=False
    )


def test_import_brings_neither_torch_nor_the_plotting_stack(tmp_path):
    code = "import sys, distill_lib\nprint([m for m in ('torch', 'pandas', 'matplotlib', 'scipy', 'numpy') if m in sys.modules])"
    result = run(code, cwd=tmp_path)
    assert result.stdout.strip() == "[]", result.stderr


def test_every_public_name_resolves_on_its_own(tmp_path):
    # Forgetting what was imported before each name: one name must not lean on another.
    code = """
import sys, distill_lib
for name in distill_lib.__all__:
    for module in [m for m in sys.modules if m.startswith('distill_lib')]:
        del sys.modules[module]
    import distill_lib
    assert getattr(distill_lib, name) is not None
print(len(distill_lib.__all__))
"""
    result = run(code, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) > 10


def test_scaling_wing_works_without_torch(tmp_path):
    code = (
        HIDE_TORCH
        + "import distill_lib as dl; print(round(float(dl.published_law().loss(1e9, 2e10, 2.1)), 3))"
    )
    result = run(code, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert 2.1 < float(result.stdout) < 3


def test_training_wing_without_torch_names_the_remedy(tmp_path):
    code = """
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == 'torch' else real(name, *rest)
import distill_lib as dl
try:
    dl.kd_loss
except ModuleNotFoundError as error:
    print(error)
"""
    result = run(code, cwd=tmp_path)
    assert "pip install 'distill-lib[train]'" in result.stdout, result.stderr


@pytest.mark.slow
def test_the_wheel_works_outside_the_repository(tmp_path):
    build = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", str(ROOT), "--no-deps", "--no-build-isolation", "-q", "-w", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert build.returncode == 0, build.stderr
    (wheel,) = tmp_path.glob("*.whl")
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(unpacked)
    assert not [name for name in names if name.startswith(("tests", "notebooks", "book", "benchmarks"))]
    published = {path.name for path in (ROOT / "data" / "paper").glob("*.csv")}
    assert published
    assert published == {Path(name).name for name in names if "_data/paper/" in name}
    code = "import distill_lib as dl; print(dl.__file__); print(dl.plan(N_S=1e9, C=1e21, scenario='teacher_inference').L_S)"
    result = run(code, cwd=tmp_path, path=unpacked)
    assert result.returncode == 0, result.stderr
    location, loss = result.stdout.split()
    assert Path(location).is_relative_to(unpacked)
    assert 1.2 < float(loss) < 4
