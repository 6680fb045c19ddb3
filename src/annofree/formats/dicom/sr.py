"""A structured report (TID 1500) on a segmentation: volumes of its parts, and volume, side and lobe of each lesion."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from annofree.formats.dicom.case import DicomCase
from annofree.formats.dicom.header import quiet
from annofree.formats.dicom.seg import WHOLE, code, derived_uid, save_dicom, segments_of, source_series, sources_of
from annofree.version import VERSION

if TYPE_CHECKING:
    from annofree.segmentation import Lesion, Segmentation

_VOLUME = ("118565006", "SCT", "Volume")
_ML = ("mL", "UCUM", "milliliter")
_LESION = ("52988006", "SCT", "Lesion")
_BRAIN = ("12738006", "SCT", "Brain")
_SIDES = {
    "left": ("7771000", "SCT", "Left"),
    "right": ("24028007", "SCT", "Right"),
    "midline": ("261129000", "SCT", "Midline"),
}
#: Places that SNOMED codes are known for; any other is named by its word in a scheme of our own.
_PLACES = {
    "Frontal": ("83251001", "SCT", "Frontal lobe"),
    "Parietal": ("16630005", "SCT", "Parietal lobe"),
    "Temporal": ("78277001", "SCT", "Temporal lobe"),
    "Occipital": ("31065004", "SCT", "Occipital lobe"),
    "Insula": ("36169008", "SCT", "Insula"),
    "Cerebellum": ("113305005", "SCT", "Cerebellum"),
    "Brainstem": ("119238007", "SCT", "Brain Stem"),
    "Corpus callosum": ("88442005", "SCT", "Corpus callosum"),
}


def write_dicom_sr(
    result: Segmentation, case: DicomCase, segmentation: Path, path: Path, *, keep_ids: bool = False
) -> Path:
    """Write the report on a DICOM SEG.

    `segmentation` is the file that `write_dicom_seg` made; `keep_ids` copies the patient's name, id and dates.
    """
    import highdicom
    import pydicom

    hd: Any = highdicom
    sr = hd.sr
    series = source_series(result, case)
    method = str(result.provenance.get("method") or "annofree")
    with quiet():
        sources, _ = sources_of(series, keep_ids)
        seg = pydicom.dcmread(segmentation, stop_before_pixels=True)
    lesions = hashlib.sha256(repr(result.lesions).encode()).hexdigest()
    parts = ("report", str(seg.SOPInstanceUID), lesions, VERSION)
    algorithm = sr.AlgorithmIdentification(name=f"annofree {method}", version=VERSION)
    observer = sr.DeviceObserverIdentifyingAttributes(
        uid=derived_uid("observer", VERSION), name="annofree", manufacturer_name="annofree", model_name=method
    )
    device = ("121007", "DCM", "Device")
    context = sr.ObservationContext(observer_device_context=sr.ObserverContext(code(hd, device), observer))
    counts = np.bincount(result.labels.ravel(), minlength=4)
    counts[0] = counts[1:].sum()  # all of it, where its parts are not told apart
    groups = [
        sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=sr.TrackingIdentifier(derived_uid(*parts, segment.name), segment.name),
            referenced_segment=sr.ReferencedSegment(
                sop_class_uid=seg.SOPClassUID,
                sop_instance_uid=seg.SOPInstanceUID,
                segment_number=segment.label,
                source_series=sr.SourceSeriesForSegmentation(series.first.series_uid),
            ),
            finding_type=code(hd, segment.code),
            finding_sites=[sr.FindingSite(code(hd, _BRAIN))],
            algorithm_id=algorithm,
            measurements=[_volume(hd, int(counts[0 if segment is WHOLE else segment.label]) * result.grid.voxel_ml)],
        )
        for segment in segments_of(result)
    ]
    groups += [_lesion(hd, lesion, algorithm, derived_uid(*parts, str(lesion.index))) for lesion in result.lesions]
    report = sr.MeasurementReport(
        observation_context=context,
        procedure_reported=code(hd, ("24590-2", "LN", "Brain MRI")),
        imaging_measurements=groups,
        title=code(hd, ("126000", "DCM", "Imaging Measurement Report")),
    )
    with quiet():
        made = sr.Comprehensive3DSR(
            evidence=[*sources, seg],
            content=report[0],
            series_instance_uid=derived_uid(*parts, "series"),
            series_number=9900 + (series.first.series_number or 0) % 90,
            sop_instance_uid=derived_uid(*parts, "instance"),
            instance_number=1,
            manufacturer="annofree",
        )
        made.SeriesDescription = f"annofree {method}, measurements"
        save_dicom(made, path)
    return path


def _volume(hd: Any, volume_ml: float) -> Any:
    return hd.sr.Measurement(name=code(hd, _VOLUME), value=round(volume_ml, 4), unit=code(hd, _ML))


def _lesion(hd: Any, lesion: Lesion, algorithm: Any, uid: str) -> Any:
    """A measurement group of one lesion, which is part of several segments."""
    place = _BRAIN if lesion.lobe is None else _PLACES.get(lesion.lobe)
    if place is None:
        place = ("".join(filter(str.isalnum, str(lesion.lobe)))[:16], "99ANNOFREE", str(lesion.lobe))
    side = None if lesion.side is None else code(hd, _SIDES[lesion.side])
    return hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(uid, f"Lesion {lesion.index}"),
        finding_type=code(hd, _LESION),
        finding_sites=[hd.sr.FindingSite(code(hd, place), laterality=side)],
        algorithm_id=algorithm,
        measurements=[_volume(hd, lesion.volume_ml)],
    )
