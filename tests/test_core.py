"""The core: what a user who only segments installs and loads."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from annofree.cli.main import main
from annofree.extras import EXTRAS, explained
from annofree.phantom import write_cohort

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
#: Training frameworks and CUDA; one of them among the core's packages would bring gigabytes.
HEAVY = (
    "torch",
    "monai",
    "lightning",
    "pytorch-lightning",
    "tensorflow",
    "jax",
    "nvidia-",
    "cuda-",
    "triton",
    "transformers",
)
#: What the extra brings.
FIT = EXTRAS["fit"][0]
#: Loaded by no segmentation of NIfTI files.
UNWANTED = (*FIT, "sklearn", "pandas", "nilearn", "pydicom", "transformers")


def needed(names: list[str]) -> set[str]:
    """Every package that some requirements bring, by the metadata of what is installed here."""
    found: set[str] = set()
    waiting = [Requirement(name) for name in names]
    while waiting:
        wanted = waiting.pop()
        key = wanted.name.lower().replace("_", "-")
        if key in found:
            continue
        found.add(key)
        try:
            further = [Requirement(text) for text in requires(wanted.name) or ()]
        except PackageNotFoundError:
            continue
        waiting += [
            r
            for r in further
            if r.marker is None or any(r.marker.evaluate({"extra": extra}) for extra in (wanted.extras or {""}))
        ]
    return found


def test_the_core_brings_no_training_framework_and_no_cuda() -> None:
    core = needed(PROJECT["dependencies"])
    assert not [name for name in core if name.startswith(HEAVY)]
    assert "onnxruntime" in core
    assert "torch" in needed(PROJECT["optional-dependencies"]["fit"])  # the walk does see what there is


def test_every_extra_of_the_table_is_declared_with_its_packages() -> None:
    brings = packages_distributions()
    for extra, (packages, _) in EXTRAS.items():
        declared = {Requirement(text).name.replace("-", "_") for text in PROJECT["optional-dependencies"][extra]}
        brought_by = {name: brings.get(name, [name])[0].replace("-", "_") for name in packages}
        assert set(brought_by.values()) == declared


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("patient")
    write_cohort(root, n=1, seed=5, spacing_mm=4.0, healthy_fraction=0.0)
    return next((root / "scans").iterdir())


def run(arguments: list[str], *, without: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own; its last line of output names the unwanted packages it loaded."""
    program = (
        f"import sys\nsys.argv = ['annofree', *{arguments!r}]\n"
        f"for name in {without!r}: sys.modules[name] = None\n"
        "from annofree.cli.main import main\n"
        "try:\n    main()\nfinally:\n"
        f"    print('loaded:', *[name for name in {UNWANTED!r} if sys.modules.get(name)])"
    )
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


def test_a_segmentation_loads_nothing_that_belongs_to_training(patient: Path, tmp_path: Path) -> None:
    done = run(["segment", str(patient), "-o", str(tmp_path / "out")])
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].strip() == "loaded:"
    assert (tmp_path / "out" / "index.html").is_file()


@pytest.mark.parametrize("verb", ["fit", "synth"])
def test_a_verb_that_needs_the_extra_says_so_with_the_command(verb: str, tmp_path: Path) -> None:
    write_cohort(tmp_path, n=3, seed=6, spacing_mm=6.0, healthy_fraction=1.0)
    given = {"fit": ["dae", "--healthy", str(tmp_path / "scans")], "synth": []}[verb]
    done = run([verb, *given, "-o", str(tmp_path / "out")], without=FIT)
    assert done.returncode == 2
    assert "which is not installed: it comes with the extra 'fit'. pip install 'annofree[fit]'." in done.stderr
    assert "Traceback" not in done.stderr


def test_a_package_of_no_extra_is_not_explained_away() -> None:
    with pytest.raises(ModuleNotFoundError), explained("This"):
        import no_such_package  # noqa: F401


def test_help_of_the_command_line_still_works(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert not stop.value.code
    assert "annofree" in capsys.readouterr().out


def test_listing_the_methods_loads_no_array_library() -> None:
    program = (
        "import sys\nsys.argv = ['annofree', 'methods']\nfrom annofree.cli.main import main\n"
        "try:\n    main()\nfinally:\n"
        "    print('loaded:', *[n for n in ('numpy', 'scipy', 'nibabel') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1].strip() == "loaded:", done.stderr
