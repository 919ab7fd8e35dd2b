"""The JSON schema of `card.json`: `python -m cloud_service.export.card_schema` writes it."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import TypeAdapter

from obclip.card import ModelCard

SCHEMA_FILE = Path("docs") / "model-card.schema.json"


def schema() -> str:
    """The schema (JSON Schema 2020-12), made from the classes that read a card.

    Ranges are in the descriptions; `obclip.card` checks them.
    """
    made = TypeAdapter(ModelCard).json_schema()
    for part in (made, *made["$defs"].values()):
        if part.get("type") == "object":
            part["additionalProperties"] = False
        part["description"] = part.get("description", "").split("\n\nRaises:")[0]
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(head | made, indent=2) + "\n"


if __name__ == "__main__":
    SCHEMA_FILE.write_text(schema(), encoding="utf-8")
