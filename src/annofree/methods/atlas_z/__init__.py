"""atlas-z: what neither the tissue expected at a place nor the other side of the brain explains."""

from annofree.methods.atlas_z.method import AtlasZ, AtlasZSettings, tissue_z

__all__ = ["AtlasZ", "AtlasZSettings", "tissue_z"]
