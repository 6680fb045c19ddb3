"""What methods there are, as plain data that can be read without loading any of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from annofree.errors import InputError
from annofree.modality import Modality
from annofree.registry import Registry, Row

if TYPE_CHECKING:
    from annofree.methods.base import Method


#: Entry points through which other packages bring methods: each names a `MethodInfo`.
GROUP = "annofree.methods"


@dataclass(frozen=True, kw_only=True)
class MethodInfo(Row):
    """One row of `annofree methods`.

    Attributes:
        name: Name on the command line, in Python and in YAML.
        module: Module that holds the class.
        cls: Class name.
        summary: One line for a user.
        needs: Sequences without which the method refuses a scan; empty means any one sequence will do.
        tier: Supervision tier of the method with its default settings.
        regions: Regions that it tells apart.
        learns_from: What `fit` uses: "nothing", "healthy", "patients", "reports".
        ships: Whether it can be used without a fit: it needs none, or fitted weights come with the package.
    """

    summary: str
    needs: tuple[Modality, ...] = ()
    tier: str = "T0"
    regions: tuple[str, ...] = ("WT",)
    learns_from: tuple[str, ...] = ()
    ships: bool = False


def _installed() -> Iterator[MethodInfo]:
    """The methods of other packages; one that cannot be read is refused by its package's name."""
    for entry in entry_points(group=GROUP):
        try:
            found = entry.load()
        except Exception as error:
            raise InputError(
                f"The method '{entry.name}' of another package cannot be loaded",
                why=f"{type(error).__name__}: {error} ({entry.value})",
                fix="Repair that package, or remove it",
            ) from error
        if not isinstance(found, MethodInfo):
            raise InputError(f"'{entry.value}' describes no method", fix="Let the entry point name a MethodInfo")
        yield found


METHODS: Registry[MethodInfo, Method] = Registry(
    "method",
    (
        MethodInfo(
            name="synthtumour",
            summary="a network trained on made brains with made tumours; any subset of sequences",
            module="annofree.methods.synthtumour",
            cls="SynthTumour",
            regions=("WT", "TC", "ET"),
            learns_from=("healthy", "patients"),
            ships=True,
        ),
        MethodInfo(
            name="weak-to-strong",
            summary="a UNETR taught by made tumours, Otsu masks or another method's answers; any subset of sequences",
            module="annofree.methods.weak_to_strong",
            cls="WeakToStrong",
            learns_from=("healthy", "patients"),
            ships=True,
        ),
        MethodInfo(
            name="atlas-z",
            summary="what the tissue expected in MNI space does not explain, less what both sides show",
            module="annofree.methods.atlas_z",
            cls="AtlasZ",
            learns_from=("healthy",),
            ships=True,
        ),
        MethodInfo(
            name="dae",
            summary="what a denoising U-Net trained on healthy slices does not restore",
            module="annofree.methods.reconstruction",
            cls="DAE",
            learns_from=("healthy",),
            ships=True,
        ),
        MethodInfo(
            name="ae",
            summary="what a convolutional autoencoder of healthy slices does not restore",
            module="annofree.methods.reconstruction",
            cls="AE",
            learns_from=("healthy",),
        ),
        MethodInfo(
            name="vae",
            summary="what a variational autoencoder of healthy slices does not restore",
            module="annofree.methods.reconstruction",
            cls="VAE",
            learns_from=("healthy",),
        ),
        MethodInfo(
            name="vq-vae",
            summary="what a vector-quantised autoencoder of healthy slices does not restore",
            module="annofree.methods.reconstruction",
            cls="VQVAE",
            learns_from=("healthy",),
        ),
        MethodInfo(
            name="f-anogan",
            summary="what an adversarial generator of healthy slices cannot make",
            module="annofree.methods.reconstruction",
            cls="FAnoGANMethod",
            learns_from=("healthy",),
        ),
        MethodInfo(
            name="blogrr",
            summary="the error of a denoising autoencoder, cut where patients' reports say",
            module="annofree.methods.blogrr",
            cls="Blogrr",
            tier="R",
            learns_from=("healthy", "patients", "reports"),
            ships=True,
        ),
        MethodInfo(
            name="mvit-ae",
            summary="what a masked transformer autoencoder of healthy brains cannot explain, decided per sequence",
            module="annofree.methods.mvit_ae",
            cls="MViTAE",
            regions=("WT", "TC", "ET"),
            learns_from=("healthy", "patients"),
            ships=True,
        ),
        MethodInfo(
            name="mvit-ae-published",
            summary="the published constants and decisions of MViT-AE, faults included; ships without its network",
            module="annofree.methods.mvit_ae",
            cls="MViTAEPublished",
            needs=tuple(Modality),
            tier="T2",
            regions=("WT", "TC", "ET"),
            learns_from=("healthy", "patients"),
            ships=True,
        ),
        MethodInfo(
            name="intensity",
            summary="bright voxels of one sequence (FLAIR first), threshold set on healthy scans",
            module="annofree.methods.intensity",
            cls="Intensity",
            learns_from=("healthy",),
            ships=True,
        ),
        MethodInfo(
            name="intensity-published",
            summary="the FLAIR rule z > 1.5, whose 1.5 was picked on masks",
            module="annofree.methods.intensity",
            cls="PublishedIntensity",
            tier="T2",
            ships=True,
        ),
    ),
    found=_installed,
)


def method_class(name: str) -> type[Method]:
    """The class of a method, loaded now.

    Raises:
        SettingsError: No method has that name; the nearest is named.
    """
    cls: type[Method] = METHODS[name].load()
    return cls
