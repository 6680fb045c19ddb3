"""Start-up stays light: torch and friends load when they are used."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "torch",
    "monai",
    "lightning",
    "SimpleITK",
    "nilearn",
    "skimage",
    "matplotlib",
    "numpy",
    "scipy",
    "nibabel",
    "distributed",
)


@pytest.mark.parametrize(
    "code",
    [
        "import annofree",
        "import sys; sys.argv = ['annofree', '--help']\nfrom annofree.cli.main import main\nmain(['--help'])",
        "import sys; sys.argv = ['annofree', 'methods']\nfrom annofree.cli.main import main\nmain(['methods'])",
    ],
)
def test_import_help_and_methods_load_nothing_heavy(code: str) -> None:
    report = f"print('LOADED', sorted(m for m in {HEAVY} if m in sys.modules))"
    program = f"import atexit, sys\natexit.register(lambda: {report})\n"
    done = subprocess.run([sys.executable, "-c", program + code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "LOADED []" in done.stdout


def test_quick_imports_leave_every_library_whole() -> None:
    program = (
        "import gc, sys\nfrom annofree.quick_imports import quick_imports\nwith quick_imports():\n    pass\n"
        "print('without', [n for n in ('numpy.f2py', 'pydicom') if n in sys.modules], gc.isenabled())\n"
        "import numpy, pydicom\nprint(callable(numpy.f2py.get_include), callable(pydicom.dcmread))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["without [] True", "True True"], done.stderr


def test_public_names_are_there() -> None:
    import annofree as af

    for name in af.__all__:
        assert getattr(af, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'segmnt'"):
        _ = af.segmnt
