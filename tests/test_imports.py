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


def test_public_names_are_there() -> None:
    import annofree as af

    for name in af.__all__:
        assert getattr(af, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'segmnt'"):
        _ = af.segmnt
