"""Base of all settings: frozen, keyword-only, and helpful about misspelt keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self, TypeAlias, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from annofree.errors import SettingsError, nearest


def _ascending(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] > ends[1]:
        raise ValueError("the lower end comes first")
    return ends


#: Numbers that several settings have: a probability or share, and what cannot be negative.
Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
NotNegative: TypeAlias = Annotated[float, Field(ge=0)]
Seed: TypeAlias = Annotated[int, Field(ge=0)]
#: Both ends of a range, the lower one first.
Span: TypeAlias = Annotated[tuple[NotNegative, NotNegative], AfterValidator(_ascending)]


class Settings(BaseModel):
    """Frozen settings; an unknown key is refused and the nearest known one is named.

    Attributes:
        places: Settings that name a file or folder, each with the words that it takes instead of one.

    Example:
        >>> class Blur(Settings):
        ...     sigma_mm: float = 1.5
        >>> Blur(sigma_mm=2.0).replace(sigma_mm=3.0).sigma_mm
        3.0
    """

    places: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False, defer_build=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_flag(cls, value: Any, told: ValidationInfo) -> Any:
        kinds = {kind := cls.model_fields[told.field_name or ""].annotation, *get_args(kind)}
        if isinstance(value, bool) and kinds & {int, float} and bool not in kinds:
            raise PydanticCustomError("number", "Input should be a number")
        return value  # pydantic takes True for 1

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SettingsError(_explain(type(self), error)) from None

    def replace(self, **changes: Any) -> Self:
        """A copy with some settings changed, checked like new ones."""
        return type(self)(**{**dict(self), **changes})

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """A copy with settings changed by dotted names, for instance {"tumours.kind": "metastases"}, checked like new.

        Raises:
            SettingsError: One does not exist, or cannot have that value.
        """
        values = self.model_dump()
        for name, value in changes.items():
            *path, last = name.split(".")
            place = values
            for part in path:
                if not isinstance(place.get(part), dict):
                    raise SettingsError(f"'{name}' is not a setting", fix=f"Known: {', '.join(place)}")
                place = place[part]
            place[last] = value
        return type(self)(**values)


def _explain(model: type[BaseModel], error: ValidationError) -> str:
    sentences = []
    details = error.errors()
    for detail in details:
        if detail["type"] == "too_short" and any(other["loc"][:-1] == detail["loc"] for other in details):
            continue  # pydantic does not count an item that it refused
        key = ".".join(str(part) for part in detail["loc"] if part != "[key]")  # pydantic's mark of a dictionary's key
        if detail["type"] == "extra_forbidden":
            near = nearest(key, model.model_fields)
            known = f"did you mean '{near}'?" if near else f"known keys: {', '.join(model.model_fields)}"
            sentences.append(f"'{key}' is not a setting; {known}")
        elif detail["type"] == "missing":
            sentences.append(f"'{key}' is missing")
        else:
            wrong = re.sub(r" or instance of \w+| after validation", "", detail["msg"])  # not words of who wrote a key
            wrong = wrong.replace("a valid tuple", "a list, such as [1, 2]").replace("Tuple", "List")
            sentences.append(f"'{key}': {wrong} (given {detail['input']!r})")
    return "; ".join(sentences)


def plain_yaml(text: str) -> Any:
    """What a YAML text holds, plain data only, by libyaml where it is at hand: eight times as fast.

    Raises:
        yaml.YAMLError: It is no YAML.
    """
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(text, Loader=loader)
