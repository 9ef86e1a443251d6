from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

PACKAGES = ["benchmark", "classifiers", "data", "features", "report", "representation"]


@pytest.mark.parametrize("name", PACKAGES)
def test_every_public_name_is_there_and_listed(name):
    package = importlib.import_module(f"lowshot.{name}")
    assert set(package.__all__) <= set(dir(package))
    for public in package.__all__:
        assert getattr(package, public) is not None
    with pytest.raises(AttributeError, match=f"module 'lowshot.{name}' has no attribute 'nothing'"):
        _ = package.nothing


def test_importing_the_packages_waits_for_neither_torch_nor_matplotlib():
    imports = "; ".join(f"import lowshot.{name}" for name in PACKAGES)
    program = f"import sys; {imports}; print([m for m in ('torch', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
