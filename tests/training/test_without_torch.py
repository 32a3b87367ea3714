"""Planning a sweep needs no torch; what does need it says how to get it."""

from __future__ import annotations

import subprocess
import sys

import pytest


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)


@pytest.mark.parametrize("module", ["runs", "scaling.protocols", "training.corpus", "training.sweep"])
def test_imports_without_loading_torch(module: str):
    done = run(f"import sys, distill_lib.{module}; sys.exit('torch' in sys.modules)")
    assert done.returncode == 0, done.stderr


def test_the_wing_says_what_to_install():
    done = run("import sys; sys.modules['torch'] = None\nimport distill_lib as dl\ndl.kd_loss")
    assert done.returncode == 1
    assert "pip install 'distill-lib[train]'" in done.stderr.splitlines()[-1]


def test_a_table_is_read_without_the_training_extra():
    done = run(
        "import sys\n"
        "for name in ('torch', 'tokenizers', 'filelock', 'platformdirs'): sys.modules[name] = None\n"
        "from distill_lib import runs\n"
        "assert runs.validate(runs.empty()).empty"
    )
    assert done.returncode == 0, done.stderr
