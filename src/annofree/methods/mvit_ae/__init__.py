"""MViT-AE: what a transformer that knows healthy brains cannot reconstruct."""

from annofree.methods.mvit_ae.method import MViTAE, MViTAESettings
from annofree.methods.mvit_ae.published import MViTAEPublished, MViTAEPublishedSettings

__all__ = ["MViTAE", "MViTAEPublished", "MViTAEPublishedSettings", "MViTAESettings"]
