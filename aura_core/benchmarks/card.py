"""`card.json`: what the items of a benchmark are, where they come from and what was left out."""

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aura_core.artifacts import store
from aura_core.errors import AuraError

NAME = "card.json"


class Card(BaseModel):
    """Of one item table."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    version: int = Field(description="of the benchmark in the catalogue")
    source: str = Field(description="folder it was read from, or `embedded`")
    revision: dict[str, str] = Field(description="digests of what the items are made from")
    licence: str
    scorer: str
    scorer_version: int = Field(description="when the items were made")
    sha256: str = Field(description="of the items, audio included")
    counts: dict[str, int] = Field(description="items, rejected, expected where it is known")
    rejected: dict[str, int] = Field({}, description="reason -> items left out")


def write_card(uri: str, card: Card) -> str:
    """Publish the card; returns its path relative to `uri`."""
    store.write_text(store.join(uri, NAME), card.model_dump_json(indent=2) + "\n")
    return NAME


def read_card(uri: str) -> Card:
    """Read what `write_card` wrote. Raises AuraError if it is missing or damaged."""
    try:
        return Card.model_validate_json(store.read_text(store.join(uri, NAME)))
    except FileNotFoundError:
        raise AuraError(f"{uri} has no {NAME}: run the benchmark stage first") from None
    except ValidationError as error:
        raise AuraError(f"{store.join(uri, NAME)} is damaged: run the stage again") from error
