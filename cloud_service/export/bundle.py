"""Exports a pair into a bundle: every graph, then the card."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from safetensors import SafetensorError

from cloud_service.export import bundle_card
from cloud_service.export.assembly import assemble
from cloud_service.export.bundle_card import BundleFacts, CountedKinds
from cloud_service.export.bundle_folder import BundleFolder, Part
from cloud_service.export.errors import ExportFailed
from cloud_service.export.export_record import ExportRecord, FinishedPart
from cloud_service.export.onnx_graph import ExportedGraph, export_module
from cloud_service.export.step_kinds import KindMacs, StepKindUnet
from obclip.card import CARD_FILE, sha256_file
from obclip.plan import FEATURE, UNET_FULL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from cloud_service.export.card_settings import CardSettings
    from cloud_service.export.pair import ModelPair


# What a card needs to be one, before anything is counted.
_UNCOUNTED = CountedKinds((KindMacs(UNET_FULL, 1, 0),), {FEATURE: (1,)})


def require_card(pair: ModelPair, settings: CardSettings) -> None:
    """Refuse settings that the card of this pair would refuse after the export.

    Raises:
        ExportFailed: a number is outside what the schedule, the distillation or the sizes allow.
    """
    facts = _facts(pair, _UNCOUNTED)
    bundle_card.require_card(facts, settings, pair.image_size, pair.cloud.vae_factor)


def export_bundle(
    pair: ModelPair,
    bundle: Path,
    precision: str | None,
    kinds: Iterable[str],
    settings: CardSettings,
    report: Callable[[str, ExportedGraph | None], None],
) -> dict[str, ExportedGraph]:
    """Write weights, graphs and `card.json` into a folder.

    The card is taken away first and written last, so that after an export that was cut off nothing
    serves the folder. Parts that are finished and fit are not exported again.

    Args:
        pair: the models.
        bundle: the folder; may be the cloud's own.
        precision: see `assembly.assemble`.
        kinds: the step kinds of the cloud's UNet.
        settings: what the card says and the files do not.
        report: called with each part's name before its export, and after it with its graph.

    Returns:
        Part -> its graph.

    Raises:
        ExportFailed: something cannot be exported, or the folder cannot be written.
    """
    try:
        return _export(pair, bundle, precision, kinds, settings, report)
    except (OSError, SafetensorError) as error:
        place = getattr(error, "filename2", None) or getattr(error, "filename", None)
        raise ExportFailed(
            str(place or bundle),
            f"cannot be written or read ({getattr(error, 'strerror', None) or error})",
            "make room or repair it, and export again: finished parts are kept",
        ) from error


def _export(
    pair: ModelPair,
    bundle: Path,
    precision: str | None,
    kinds: Iterable[str],
    settings: CardSettings,
    report: Callable[[str, ExportedGraph | None], None],
) -> dict[str, ExportedGraph]:
    bundle.mkdir(parents=True, exist_ok=True)
    record = ExportRecord.load(bundle)
    record.settings = settings
    record.save(bundle)
    (bundle / CARD_FILE).unlink(missing_ok=True)
    assemble(pair, bundle, precision)
    folder = BundleFolder(
        bundle,
        pair.image_size // pair.cloud.vae_factor,
        pair.image_size,
        has_device_text=pair.device_text is not None,
    )
    finished: dict[str, FinishedPart] = {}
    for part in folder.parts(kinds):
        report(part.name, None)
        finished[part.name] = record.parts[part.name] = _finish(part, folder.image_size, record)
        record.save(bundle)
        report(part.name, finished[part.name].graph)
        gc.collect()  # models hold cycles: the next one would come on top
    bundle_card.write_card(bundle, _facts(pair, _counted(finished)), settings)
    return {name: part.graph for name, part in finished.items()}


def _finish(part: Part, image_size: int, record: ExportRecord) -> FinishedPart:
    digest = part.inputs_digest(image_size)
    known = record.parts.get(part.name)
    if known is not None and known.fits(digest, part.onnx_file):
        return known
    plan = part.load()
    graph = export_module(plan)
    graph_digest = sha256_file(part.onnx_file)
    if not isinstance(plan.module, StepKindUnet):
        return FinishedPart(digest, graph_digest, graph)
    macs = KindMacs.counted(part.name, graph.macs, graph.macs_of_two)
    return FinishedPart(digest, graph_digest, graph, macs, plan.module.cached_shapes)


def _counted(finished: dict[str, FinishedPart]) -> CountedKinds:
    cached: dict[str, tuple[int, ...]] = {}
    for part in finished.values():
        cached |= part.cached_shapes
    return CountedKinds(tuple(part.macs for part in finished.values() if part.macs), cached)


def _facts(pair: ModelPair, kinds: CountedKinds) -> BundleFacts:
    own = pair.device_text
    return BundleFacts(
        kinds,
        pair.schedule,
        pair.cloud.text.format,
        None if own is None else own.format,
        pair.cloud.scheduler if pair.cloud.is_distilled else None,
        embeds_guidance=pair.cloud.unet.takes_guidance,
    )
