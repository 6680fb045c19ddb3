"""MViT-AE: what a transformer that knows healthy brains cannot reconstruct."""

from annofree.methods.mvit_ae.method import MViTAE
from annofree.methods.mvit_ae.published import MViTAEPublished
from annofree.methods.mvit_ae.settings import MViTAEPublishedSettings, MViTAESettings

__all__ = ["MViTAE", "MViTAEPublished", "MViTAEPublishedSettings", "MViTAESettings"]
