"""Refiners: one file an idea. `parse("components:26,min_ml=0.5")` and `from_dict(...)` make them."""

from collections.abc import Iterable

from annofree.refine.base import RefineContext, Refiner, refine
from annofree.refine.brain import ErodedBrain
from annofree.refine.components import KeepComponents, healthy_min_ml
from annofree.refine.holes import FillHoles
from annofree.refine.median import Median
from annofree.refine.mirror import MirrorFilter
from annofree.refine.morphology import Morphology
from annofree.refine.promptable import Promptable
from annofree.refine.sam import Sam
from annofree.registry import Registry, Row

__all__ = [
    "REFINERS",
    "ErodedBrain",
    "FillHoles",
    "KeepComponents",
    "Median",
    "MirrorFilter",
    "Morphology",
    "Promptable",
    "RefineContext",
    "Refiner",
    "Sam",
    "chosen_chain",
    "from_dict",
    "healthy_min_ml",
    "parse",
    "parse_chain",
    "refine",
]

#: How refiners that take a setting without its name are written.
_FORMS = {"components": "components:26,min_ml=0.5", "median": "median:3", "morphology": "morphology:opening,mm=2"}

REFINERS: Registry[Row, Refiner] = Registry(
    "refiner",
    [
        Row.at(f"annofree.refine.{place}", name=name, form=_FORMS.get(name, name))
        for name, place in (
            ("components", "components:KeepComponents"),
            ("eroded-brain", "brain:ErodedBrain"),
            ("fill-holes", "holes:FillHoles"),
            ("half-height", "half_height:HalfHeight"),
            ("median", "median:Median"),
            ("morphology", "morphology:Morphology"),
            ("promptable", "promptable:Promptable"),
            ("sam", "sam:Sam"),
            ("mirror", "mirror:MirrorFilter"),
            ("appearance", "appearance:Appearance"),
            ("published-mvit", "published_mvit:PublishedMViT"),
        )
    ],
    former={"twins": "mirror"},
    gone={
        "random-walker": "it was removed, because where an image shows no edge it takes d^2/r off a mask of radius r "
        "(0.9 mm at 10 mm); appearance draws the border from the images"
    },
)
parse, from_dict = REFINERS.parse, REFINERS.from_dict


def parse_chain(text: str, words: Iterable[str] = ()) -> tuple[Refiner, ...]:
    """Refiners that follow each other, joined by `+`: `"eroded-brain:3 + components:6,keep=largest"`.

    `words` are what the caller takes in place of a chain.
    """
    return tuple(parse(part, words) for part in text.split("+") if part.strip())


def chosen_chain(chosen: Iterable[str | Refiner], own: Iterable[Refiner]) -> tuple[Refiner, ...]:
    """Refiners as a user names them, one after the other: "own" stands for those of the method, "none" for no refiner.

    Raises:
        SettingsError: A name or a setting is not known.
    """
    chain: list[Refiner] = []
    for one in chosen:
        if not isinstance(one, str):
            chain.append(one)
        elif (word := one.strip().lower()) == "own":
            chain += own
        elif word != "none":
            chain.append(parse(one, ("own", "none")))
    return tuple(chain)
