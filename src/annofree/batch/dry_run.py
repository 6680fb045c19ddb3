"""What a run would do, without doing it: files, sequences, grids, preparation, time and memory, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from annofree.batch.worker import explain

if TYPE_CHECKING:
    from annofree.formats.study import Study
    from annofree.methods.base import Method
    from annofree.scan import Cohort

#: Processor seconds and peak GB of one scan of 240 x 240 x 155 voxels with four sequences, whatever the method: those
#: that ship take 4 to 9 s and 0.5 to 0.83 GB on two cores with other work, half of the time where nothing else runs.
_SECONDS, _GB = 9.0, 0.85
#: Registering one sequence, and finding the brain of one head, s (docs/raw.md).
_REGISTER_S, _BRAIN_S = 3.5, 2.7
_REFERENCE_VOXELS = 240 * 240 * 155
#: What a run costs whatever the scan's size: starting, loading the model, aligning with the template.
_FIXED_S, _FIXED_GB = 4.0, 0.4


@dataclass(frozen=True)
class Expected:
    """What a run would do with one scan.

    Attributes:
        id: The scan.
        lines: What is read: one line a sequence with file and grid.
        steps: What would be prepared.
        notes: What reading had to say.
        problems: Why it would fail, or what is missing; empty when it would run.
        seconds: Expected time on two cores, 0 when it would fail.
        memory_gb: Expected peak memory.
    """

    id: str
    lines: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    seconds: float = 0.0
    memory_gb: float = 0.0


def expect(cohort: Cohort, scan_id: str, method: Method) -> Expected:
    """Read the images of one scan, prepare and segment nothing, and say what a run would do."""
    try:
        study = cohort.study(scan_id)
    except Exception as error:  # whatever a run would meet is what a dry run is for
        return Expected(scan_id, problems=(str(explain(scan_id, error)),))
    lines = tuple(
        f"{name}: {_file(study, str(name))}, {' x '.join(map(str, grid.shape))} voxels of "
        f"{' x '.join(f'{edge:.3g}' for edge in grid.spacing_mm)} mm"
        for name, grid in study.grids.items()
    )
    problems = tuple(
        f"'{method.name}' needs {name}, which is missing" for name in method.needs if name not in study.images
    )
    absent = [str(name) for name in type(next(iter(study.images))) if name not in study.images]
    notes = (*study.notes, *([f"not there: {', '.join(absent)}; the method goes on without"] if absent else []))
    steps = tuple(_steps(study))
    seconds, memory = _cost(study)
    return Expected(scan_id, lines, steps, notes, problems, 0.0 if problems else seconds, memory)


def _file(study: Study, name: str) -> str:
    return study.files.get(name, "in memory").replace("\\", "/").rsplit("/", 1)[-1]


def _steps(study: Study) -> Iterator[str]:
    if study.heads and study.brain is None:
        yield f"the skull is taken off ({', '.join(map(str, study.heads))} show the whole head)"
    if study.elsewhere:
        yield "sequences are brought onto one grid"


def _cost(study: Study) -> tuple[float, float]:
    voxels = max(image.size for image in study.images.values())
    share = voxels * len(study.images) / (4 * _REFERENCE_VOXELS)
    extra = _REGISTER_S * len(study.elsewhere) + (_BRAIN_S if study.heads and study.brain is None else 0.0)
    return _FIXED_S + (_SECONDS - _FIXED_S) * share + extra, _FIXED_GB + (_GB - _FIXED_GB) * max(share, 0.1)
