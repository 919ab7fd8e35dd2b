"""What an export has finished, kept beside the bundle so that one that was cut off goes on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from cloud_service.export.card_settings import CardSettings
from cloud_service.export.onnx_graph import ExportedGraph
from cloud_service.export.step_kinds import KindMacs
from obclip.card import sha256_file

RECORD_FILE = ".obclip-export.json"


@dataclass(frozen=True)
class FinishedPart:
    """One graph that was written and checked.

    Attributes:
        inputs_digest: of what it was made of.
        graph_digest: of its file.
        graph: what the export found out about it.
        macs: of a step kind, None for other parts.
        cached_shapes: of what a step kind takes and leaves.
    """

    inputs_digest: str
    graph_digest: str
    graph: ExportedGraph
    macs: KindMacs | None = None
    cached_shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def fits(self, inputs_digest: str, onnx_file: Path) -> bool:
        """Whether the part need not be exported again."""
        return (
            self.inputs_digest == inputs_digest
            and onnx_file.is_file()
            and self.graph_digest == sha256_file(onnx_file)
        )


@dataclass
class ExportRecord:
    """Finished parts, and the settings of the card that is yet to be written.

    Attributes:
        settings: of the card; None before the first export.
        parts: by name.
    """

    settings: CardSettings | None = None
    parts: dict[str, FinishedPart] = field(default_factory=dict)

    @classmethod
    def load(cls, bundle: Path) -> ExportRecord:
        """The record of a folder; an empty one where there is none, or a damaged one."""
        try:
            return _ADAPTER.validate_json((bundle / RECORD_FILE).read_bytes())
        except (OSError, ValidationError):
            return cls()

    def save(self, bundle: Path) -> None:
        """Write it.

        Raises:
            OSError: the folder cannot be written.
        """
        partial = bundle / f"{RECORD_FILE}.partial"
        try:
            partial.write_bytes(_ADAPTER.dump_json(self, indent=1))
            partial.replace(bundle / RECORD_FILE)
        finally:
            partial.unlink(missing_ok=True)


_ADAPTER = TypeAdapter(ExportRecord)
