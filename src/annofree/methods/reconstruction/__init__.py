"""Methods that know healthy slices only: what a network trained on them cannot restore is abnormal."""

from annofree.methods.reconstruction.method import (
    AE,
    DAE,
    VAE,
    VQVAE,
    DAESettings,
    FAnoGANMethod,
    Reconstruction,
    ReconstructionSettings,
)

__all__ = ["AE", "DAE", "VAE", "VQVAE", "DAESettings", "FAnoGANMethod", "Reconstruction", "ReconstructionSettings"]
