"""Errors as a client sees them (contract E3): a request error is an HTTP answer, a row error belongs to one record."""

from __future__ import annotations

from dataclasses import dataclass


class ApiError(Exception):
    """A request refused with ``[{"errorCode", "message"}]``."""

    def __init__(
        self, code: str, message: str, status: int = 400, *, fields: list[str] | None = None, field: str = ""
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.fields = [field] if field else fields

    def body(self) -> list[dict[str, object]]:
        item: dict[str, object] = {"message": self.message, "errorCode": self.code}
        if self.fields is not None:
            item["fields"] = self.fields
        return [item]


@dataclass(frozen=True, slots=True)
class RowError:
    """Why one record was refused: status code, message and the fields concerned."""

    code: str
    message: str
    fields: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        return {"statusCode": self.code, "message": self.message, "fields": list(self.fields)}

    def as_bulk(self) -> str:
        """``CODE:message:field1 field2 --``, or ``CODE:message:--`` without fields (contract B6)."""
        fields = " ".join(self.fields)
        return f"{self.code}:{self.message}:{fields} --" if fields else f"{self.code}:{self.message}:--"


def not_found() -> ApiError:
    return ApiError("NOT_FOUND", "The requested resource does not exist", 404)
