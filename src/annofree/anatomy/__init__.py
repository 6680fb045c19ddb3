"""Where things are in the brain: template, atlas, alignment, symmetry, and the place of each lesion."""

from annofree.anatomy.align import Alignment, register_to_mni
from annofree.anatomy.atlas import Atlas, default_atlas, gyri_atlas
from annofree.anatomy.locate import locate
from annofree.anatomy.regions import LOBES
from annofree.anatomy.symmetry import midsagittal_plane, mirrored
from annofree.anatomy.template import template

__all__ = [
    "LOBES",
    "Alignment",
    "Atlas",
    "default_atlas",
    "gyri_atlas",
    "locate",
    "midsagittal_plane",
    "mirrored",
    "register_to_mni",
    "template",
]
