"""The base of every `Config`: strict, frozen, and closed to unknown keys."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Parameters of one part, set from YAML.

    Unknown keys, numeric strings, NaN and infinity are refused; values cannot change later.
    """

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, validate_default=True
    )
