"""The base of every part of the configuration."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of the configuration: unknown keys are refused, so that a typing error is not silence."""

    model_config = ConfigDict(extra="forbid", frozen=True)
