"""Exports a whole pipeline folder: every graph, then the card."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloud_service.export.bundle_card import CountedKinds, write_card
from cloud_service.export.onnx_graph import ExportedGraph, export_module
from cloud_service.export.pipeline_folder import PipelineFolder
from cloud_service.export.step_kinds import KindMacs, StepKindUnet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cloud_service.export.card_settings import CardSettings


def export_bundle(
    path: Path, settings: CardSettings, report: Callable[[str], None]
) -> dict[str, ExportedGraph]:
    """Write the graphs and `card.json` into a pipeline folder.

    The card comes last: after an export that was cut off, the old card's digests fit no longer, and
    nothing serves the folder.

    Args:
        path: the pipeline folder.
        settings: what the card says and the files do not.
        report: called with the name of each part before its export, e.g. "device_unet".

    Returns:
        Part -> its graph.

    Raises:
        ExportFailed: something in the folder cannot be exported.
    """
    folder = PipelineFolder(path)
    exported: dict[str, ExportedGraph] = {}
    costs: list[KindMacs] = []
    cached: dict[str, tuple[int, ...]] = {}
    for part, load in folder.parts().items():
        report(part)
        plan = load()
        exported[part] = export_module(
            plan.module,
            plan.weights_file,
            plan.examples,
            plan.output_names,
            plan.onnx_file,
            plan.batch_axes,
        )
        if isinstance(plan.module, StepKindUnet):
            costs.append(plan.module.count(plan.examples))
            cached |= plan.module.cached_shapes
    write_card(folder, CountedKinds(tuple(costs), cached), settings)
    return exported
