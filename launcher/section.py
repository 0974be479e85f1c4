"""The base of every part of the configuration."""

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticCustomError

SENTENCES = "sentences"
"""Kind of a fault whose message says everything."""


class Section(BaseModel):
    """A part of the configuration: unknown keys are refused, so that a typing error is not silence."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def refuse(sentences: list[str]) -> None:
    """Raise what is wrong with several keys together, as sentences that need no more words."""
    if sentences:
        raise PydanticCustomError(SENTENCES, "{sentences}", {"sentences": " ".join(sentences)})
