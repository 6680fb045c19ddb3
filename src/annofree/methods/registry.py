"""What methods there are, as plain data that can be read without loading any of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from annofree.errors import InputError
from annofree.labels import REGIONS
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


def _row(place: str, name: str, summary: str, learns_from: str = "healthy", **more: Any) -> MethodInfo:
    """A row of our own: `place` is module and class within this room, `learns_from` words."""
    more = {"ships": True, **more}
    return MethodInfo.at(
        f"annofree.methods.{place}", name=name, summary=summary, learns_from=tuple(learns_from.split()), **more
    )


_PARTS: dict[str, Any] = {"regions": tuple(REGIONS)}
METHODS: Registry[MethodInfo, Method] = Registry(
    "method",
    (
        _row(
            "synthtumour:SynthTumour",
            "synthtumour",
            "a network trained on made brains with made tumours; any subset of sequences",
            "healthy patients",
            **_PARTS,
        ),
        _row(
            "weak_to_strong:WeakToStrong",
            "weak-to-strong",
            "a UNETR taught by made tumours, Otsu masks or another method's answers; any subset of sequences",
            "healthy patients",
        ),
        _row(
            "atlas_z:AtlasZ",
            "atlas-z",
            "what the tissue expected in MNI space does not explain, less what both sides show",
        ),
        _row("reconstruction:DAE", "dae", "what a denoising U-Net trained on healthy slices does not restore"),
        *(
            _row(f"reconstruction:{cls}", name, f"what {what} of healthy slices {fails}", ships=False)
            for cls, name, what, fails in (
                ("AE", "ae", "a convolutional autoencoder", "does not restore"),
                ("VAE", "vae", "a variational autoencoder", "does not restore"),
                ("VQVAE", "vq-vae", "a vector-quantised autoencoder", "does not restore"),
                ("FAnoGANMethod", "f-anogan", "an adversarial generator", "cannot make"),
            )
        ),
        _row(
            "blogrr:Blogrr",
            "blogrr",
            "the error of a denoising autoencoder, cut where patients' reports say",
            "healthy patients reports",
            tier="R",
        ),
        _row(
            "mvit_ae:MViTAE",
            "mvit-ae",
            "what a masked transformer autoencoder of healthy brains cannot explain, decided per sequence",
            "healthy patients",
            **_PARTS,
        ),
        _row(
            "mvit_ae:MViTAEPublished",
            "mvit-ae-published",
            "the published constants and decisions of MViT-AE, faults included; ships without its network",
            "healthy patients",
            needs=tuple(Modality),
            tier="T2",
            **_PARTS,
        ),
        _row(
            "intensity:Intensity",
            "intensity",
            "bright voxels of one sequence (FLAIR first), threshold set on healthy scans",
        ),
        _row(
            "intensity:PublishedIntensity",
            "intensity-published",
            "the FLAIR rule z > 1.5, whose 1.5 was picked on masks",
            "",
            tier="T2",
        ),
    ),
    found=_installed,
)


def method_class(name: str) -> type[Method]:
    """The class of a method, loaded now. Raises `SettingsError`: no method has that name; the nearest is named."""
    cls: type[Method] = METHODS[name].load()
    return cls
