"""The threshold-sensitivity curve of several methods as a table and a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from annofree.formats.outfolder import atomic_write, table
from annofree.metrics.sensitivity import Sensitivity


def sensitivity_table(curves: Mapping[str, Sensitivity]) -> str:
    """Mean Dice by rank of the threshold, tab-separated, a method a row; UB and SB are marked as T3 by their names.

    Args:
        curves: By method, all with the same number of thresholds.
    """
    count = len(next(iter(curves.values())).thresholds)
    columns = ("method", *(f"rank{i + 1}" for i in range(count)), "UB(T3)", "SB(T3)")
    rows = []
    for name, curve in curves.items():
        values = (*curve.mean, curve.mean[curve.best(1)], curve.mean[curve.best(2)])
        rows.append(dict(zip(columns, (name, *(f"{value:.3f}" for value in values)), strict=True)))
    return table(rows, columns)


def draw_sensitivity(
    curves: Mapping[str, Sensitivity], path: str | Path, *, marks: Mapping[str, float] | None = None
) -> Path:
    """Mean Dice against threshold, on a fine grid.

    Args:
        curves: By method; fine ones (`sensitivity(tables, steps=None)`) give smooth lines.
        path: A `.png`.
        marks: Thresholds that were chosen without truth, by method, shown as dots.

    Returns:
        The path.
    """
    from io import BytesIO

    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name, curve in curves.items():
        (line,) = axes.plot(curve.thresholds, curve.mean, label=name, linewidth=1.4)
        value = (marks or {}).get(name)
        if value is not None:
            height = float(np.interp(value, curve.thresholds, curve.mean))
            axes.plot([value], [height], "o", color=line.get_color(), markersize=6)
    axes.set_xlabel("threshold (dots: chosen without truth)")
    axes.set_ylabel("mean Dice, whole tumour")
    axes.set_ylim(0.0, 1.0)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    atomic_write(Path(path), buffer.getvalue())
    return Path(path)
