"""Synthesis on another device: no tensor of that device ever meets one of the processor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from annofree.phantom import phantom_subject
from annofree.synthesis import LabelMapBank, SynthesisSettings, make_case
from annofree.synthesis.carrier import Carrier, carrier_of
from annofree.synthesis.generator import MadeCase
from annofree.synthesis.real_brain import paint_tumour_into
from annofree.synthesis.settings import Tumours

GRAPHICS = torch.device("cuda")
ALWAYS = SynthesisSettings(tumours=Tumours(healthy_share=0.0))


class There(torch.Tensor):
    """A tensor that says to lie on a graphics card and is computed here."""


class Pretended(TorchFunctionMode):
    """A graphics card for code that names its device: refuses what a real one would refuse, mixing above all."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        owner = getattr(getattr(func, "__self__", None), "__name__", "")
        first = args[0] if args and isinstance(args[0], torch.Tensor) else None
        if name == "__get__" and owner == "device":
            return GRAPHICS if isinstance(first, There) else torch.device("cpu")
        if first is not None and name in ("cpu", "to"):
            wanted = "cpu" if name == "cpu" else given.pop("device", args[1] if len(args) > 1 else None)
            if isinstance(wanted, torch.Tensor):
                there = isinstance(wanted, There)
                return first.as_subclass(torch.Tensor).to(wanted.dtype).as_subclass(There if there else torch.Tensor)
            if isinstance(wanted, str | torch.device):
                return first.as_subclass(There if torch.device(wanted).type == "cuda" else torch.Tensor)
        if name == "numpy" and isinstance(first, There):
            raise TypeError("can't convert a tensor of a graphics card to numpy")
        tensors = [leaf for leaf in tree_leaves((args, given)) if isinstance(leaf, torch.Tensor)]
        index = name in ("__getitem__", "__setitem__")
        if any(isinstance(t, There) for t in tensors[: 1 if index else None]):
            assert all(isinstance(t, There) or t.dim() == 0 for t in tensors), f"{name} of tensors on two devices"
        device = given.get("device")
        if device is not None and torch.device(device).type == "cuda":
            return func(*args, **{**given, "device": "cpu"}).as_subclass(There)
        return func(*args, **given)


@pytest.fixture
def graphics(monkeypatch: pytest.MonkeyPatch) -> Pretended:
    generator = torch.Generator
    monkeypatch.setattr(torch, "Generator", lambda device: generator())
    return Pretended()


def check(made: MadeCase, plain: MadeCase) -> None:
    for there, here in zip(
        (made.images, made.brain, made.labels), (plain.images, plain.brain, plain.labels), strict=True
    ):
        assert isinstance(there, There)
        assert torch.equal(there.as_subclass(torch.Tensor), here)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", [{}, {"spacing_mm": 1.0, "around": "lesion", "size": 48}])
def test_a_made_case(mni_bank: LabelMapBank, graphics: Pretended, seed: int, size: dict[str, Any]) -> None:
    plain = make_case(mni_bank, ALWAYS, seed, **size)
    with graphics:
        check(make_case(mni_bank, ALWAYS, seed, device=GRAPHICS, **size), plain)


@pytest.fixture(scope="module")
def carrier() -> Carrier:
    """A phantom's brain, ready to be painted into."""
    return carrier_of(phantom_subject(5, spacing_mm=4.0).scan)


@pytest.mark.parametrize("seed", range(3))
def test_a_painted_case(carrier: Carrier, graphics: Pretended, seed: int) -> None:
    plain = paint_tumour_into(carrier, ALWAYS, seed)
    with graphics:
        check(paint_tumour_into(carrier, ALWAYS, seed, device=GRAPHICS), plain)


def test_mixing_is_found(graphics: Pretended) -> None:
    with graphics, pytest.raises(AssertionError, match="two devices"):
        torch.zeros(3, device=GRAPHICS) + torch.zeros(3)
