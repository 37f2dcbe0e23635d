"""What the models of params and settings share: all faults at once, and the words for what a field takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

Model = TypeVar("Model", bound=BaseModel)


def usable(model: type[Model], raw: Mapping[str, Any]) -> tuple[Model, dict[str, ErrorDetails]]:
    """The model made of the values that can be used, and by name what pydantic says against each of the others."""
    try:
        return model.model_validate(dict(raw)), {}
    except ValidationError as error:
        refused: dict[str, ErrorDetails] = {}
        for one in error.errors(include_url=False):
            refused.setdefault(str(one["loc"][0]), one)
    return model.model_validate({name: raw[name] for name in raw if name not in refused}), refused


def words(field: FieldInfo) -> tuple[str, ...]:
    """The values of a choice, in the order of its declaration; empty for a field that is none."""
    return get_args(field.annotation) if get_origin(field.annotation) is Literal else ()


def bounds(field: FieldInfo) -> dict[str, Any]:
    """The least and the most of a number, as `ge`, `gt` and `le`; those that are declared."""
    return {
        name: getattr(one, name)
        for one in field.metadata
        for name in ("ge", "gt", "le")
        if hasattr(one, name)
    }


def whole(field: FieldInfo) -> bool:
    """Whether a field is a whole number, or nothing."""
    return int in (field.annotation, *get_args(field.annotation)) and str not in get_args(field.annotation)
