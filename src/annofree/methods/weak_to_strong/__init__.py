"""Weak to strong: pseudo-masks, a 2-D U-Net, then a 3-D UNETR."""

from annofree.methods.weak_to_strong.method import WeakToStrong
from annofree.methods.weak_to_strong.settings import WeakToStrongSettings

__all__ = ["WeakToStrong", "WeakToStrongSettings"]
