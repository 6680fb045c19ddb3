"""The Python environment that nnU-Net lives in: found, made, asked for its commands, run."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from annofree.errors import AnnofreeError, OptionalDependency

_SCRIPTS = Path(sysconfig.get_path("scripts")).name


@dataclass(frozen=True)
class Environment:
    """A Python environment that has nnU-Net.

    Attributes:
        python: Its interpreter.
    """

    python: Path

    @classmethod
    def create(cls, folder: Path) -> Environment:
        """Make an environment and install nnU-Net there (several GB with a CUDA build of torch).

        Raises:
            AnnofreeError: pip failed.
        """
        made = cls(folder / _SCRIPTS / Path(sys.executable).name)
        if not made.python.exists():
            run_command([sys.executable, "-m", "venv", str(folder)], {}, folder.parent / "install.log")
        if made.found("nnUNetv2_train") is None:
            run_command([str(made.python), "-m", "pip", "install", "nnunetv2"], {}, folder / "install.log")
        return made

    @property
    def device(self) -> str:
        """What nnU-Net can compute on there: "cuda" or "mps" where its torch says so, else "cpu"."""
        code = (
            "import torch; print('cuda' if torch.cuda.is_available() else "
            "'mps' if torch.backends.mps.is_available() else 'cpu')"
        )
        try:
            done = subprocess.run([str(self.python), "-c", code], capture_output=True, text=True, check=False)
        except OSError:
            return "cpu"
        said = done.stdout.strip()
        return said if said in ("cuda", "mps") else "cpu"

    def found(self, command: str) -> str | None:
        """The command beside the interpreter, or None."""
        return shutil.which(command, path=str(self.python.parent))

    def command(self, name: str) -> str:
        """Path of one of nnU-Net's commands. Raises `OptionalDependency`: nnU-Net is not installed there."""
        path = self.found(name)
        if path is None:
            raise OptionalDependency(
                "nnU-Net is not installed in this environment",
                file=self.python,
                why=f"there is no {name} beside the interpreter",
                fix="Make one with 'python -m venv ENV' and 'ENV/bin/pip install nnunetv2' and give --python "
                "ENV/bin/python, or let --install do so",
            )
        return path


def run_command(command: list[str], variables: dict[str, str], log: Path) -> None:
    """Run a command; what it says goes to a log, and its last line into the error if it fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as out:
        out.write(f"$ {shlex.join(command)}\n")
        out.flush()
        # newer versions ask for Enter before they draw a split of their own
        done = subprocess.run(
            command, env={**os.environ, **variables}, input="\n", text=True, stdout=out, stderr=out, check=False
        )
    if done.returncode:
        lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        raise AnnofreeError(
            f"{Path(command[0]).name} stopped with code {done.returncode}", file=log, why=lines[-1][:300]
        )
