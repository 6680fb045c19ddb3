"""Read a study of 6 series of 150 slices and find its four sequences, beside dcm2niix on the same folder.

Both start as a process of their own, in turns; the best of three is printed. The headers carry 40 KB of private
elements each, as those of some makers do. dcm2niix writes six NIfTI files, uncompressed; annofree decides what each
series is and has the four volumes in memory.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

SLICES, SIZE, RUNS = 150, 256, 3
KINDS = {
    "t1 mprage": (1900, 2.5, 900),
    "t1 mprage post": (1900, 2.5, 900),
    "t2 tse": (4500, 95, None),
    "flair": (9000, 110, 2500),
    "ep2d diff": (5000, 90, None),
    "swi": (27, 20, None),
}
READ = """
import resource, sys, time
start = time.perf_counter()
from pathlib import Path
from annofree.formats.dicom import find
(case,) = find(Path(sys.argv[1]))
found = time.perf_counter()
chosen = case.chosen()
guessed = time.perf_counter()
volumes, _ = case.read()
read = time.perf_counter()
print(",".join(map(str, volumes)), found - start, guessed - found, read - guessed,
      resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def write_study(folder: Path) -> None:
    """Made slices: a head-sized disc with noise."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    rng = np.random.default_rng(0)
    rows, columns = np.indices((SIZE, SIZE)) - SIZE / 2
    disc = rows**2 + columns**2 < 90**2
    study, frame = generate_uid(), generate_uid()
    for number, (words, (tr, te, ti)) in enumerate(KINDS.items(), 1):
        series = generate_uid()
        (folder / f"s{number}").mkdir(parents=True)
        for k in range(SLICES):
            data: Any = Dataset()
            data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.4", generate_uid()
            data.StudyInstanceUID, data.SeriesInstanceUID, data.FrameOfReferenceUID = study, series, frame
            data.PatientID, data.Modality, data.SeriesDescription = "x", "MR", words
            data.SeriesNumber, data.InstanceNumber, data.ImageType = number, k + 1, ["ORIGINAL", "PRIMARY", "M"]
            data.RepetitionTime, data.EchoTime = tr, te
            if ti:
                data.InversionTime = ti
            data.ImageOrientationPatient, data.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [-128, -128, k - 75]
            data.PixelSpacing, data.SliceThickness = [1, 1], 1
            data.Rows = data.Columns = SIZE
            data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
            data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
            block = data.private_block(0x0029, "MADE", create=True)
            block.add_new(0x10, "OB", rng.bytes(20000))
            block.add_new(0x20, "OB", rng.bytes(20000))
            data.PixelData = (disc * rng.integers(200, 900, (SIZE, SIZE))).astype("<u2").tobytes()
            data.file_meta = FileMetaDataset()
            data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            data.save_as(folder / f"s{number}" / f"{k:04d}.dcm", enforce_file_format=True)


def timed(command: list[str]) -> tuple[float, float, str]:
    """Processor time, wall time and output of a process."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall, done.stdout.strip()


def main() -> None:
    program = shutil.which("dcm2niix", path=str(Path(sys.executable).parent)) or shutil.which("dcm2niix")
    with tempfile.TemporaryDirectory() as place:
        study = Path(place) / "study"
        write_study(study)
        ours, theirs = [], []
        for run in range(RUNS):
            ours.append(timed([sys.executable, "-c", READ, str(study)]))
            if program is not None:
                out = Path(place) / f"out{run}"
                out.mkdir()
                theirs.append(timed([program, "-z", "n", "-o", str(out), str(study)]))
    cpu, wall, told = min(ours)
    names, found, guessed, read, megabytes = told.split()
    print(f"{len(KINDS)} series x {SLICES} slices of {SIZE} x {SIZE}; found {names}")
    print(
        f"annofree  {wall:.2f} s, {cpu:.2f} s of processor time (start-up included; headers {float(found):.2f}, "
        f"guess {float(guessed):.2f}, voxels {float(read):.2f} s); {megabytes} MB at most"
    )
    if theirs:
        other = min(theirs)
        print(f"dcm2niix  {other[1]:.2f} s, {other[0]:.2f} s of processor time")
        print(f"annofree takes {wall / other[1]:.1f} times as long, {cpu / other[0]:.1f} times in processor time")
    else:
        print("dcm2niix is not installed (pip install dcm2niix)")
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 1 << 20, "more than 1 GB"


if __name__ == "__main__":
    main()
