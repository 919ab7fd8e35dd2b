"""The published schema is that of the cards that are read and written."""

import json
from pathlib import Path

import pytest

pytest.importorskip("pydantic", reason="pydantic is not installed (extra: cloud)")

from cloud_service.export.card_schema import SCHEMA_FILE, schema
from obclip.card import CARD_FILE, ModelCard

ROOT = Path(__file__).parents[4]


def test_the_published_schema_is_current():
    assert (ROOT / SCHEMA_FILE).read_text(encoding="utf-8") == schema(), (
        "run python -m cloud_service.export.card_schema"
    )


def test_every_object_of_the_embedded_card_has_exactly_the_schemas_fields():
    made = json.loads(schema())
    text = (ROOT / "demo_models" / "weights" / CARD_FILE).read_text(encoding="utf-8")
    card = json.loads(text)
    assert set(made["properties"]) == set(made["required"]) == set(card)
    for name, part in made["properties"].items():
        if "$ref" in part:
            kind = made["$defs"][part["$ref"].rpartition("/")[2]]
            assert set(kind["properties"]) == set(card[name])
            assert kind["additionalProperties"] is False
    assert ModelCard.from_json(text)


def test_the_descriptions_say_the_ranges():
    assert "3..4096" in json.loads(schema())["$defs"]["TextFormat"]["description"]
