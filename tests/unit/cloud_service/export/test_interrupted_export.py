"""An export that breaks leaves nothing that serves, and goes on where it was."""

import contextlib
import resource
import shutil
import signal

import pytest

pytest.importorskip("torch", reason="torch is not installed (extra: export)")
pytest.importorskip("diffusers", reason="diffusers is not installed (extra: export)")

from cloud_service.export.errors import ExportFailed
from cloud_service.export.export_record import RECORD_FILE, ExportRecord
from cloud_service.export.needs import Needs, require_disk
from device_client.bundle import open_bundle
from obclip.card import CARD_FILE, ModelCard
from obclip.errors import InvalidBundle, ModelMismatch
from obclip.plan import Profile
from tests.unit.cloud_service.export.conftest import invoke

pytestmark = pytest.mark.timeout(900)  # the session's one export


@pytest.fixture
def again(exported, tmp_path):
    """A copy of the finished bundle, and what exports it once more."""
    bundle = shutil.copytree(exported.bundle, tmp_path / "bundle")

    def export(*words):
        return invoke(
            "--cloud", exported.cloud, "--device", exported.device, "--out", bundle, *words
        )

    return bundle, export


def forget(bundle, *parts):
    """Makes a bundle one whose export was cut off before these parts."""
    record = ExportRecord.load(bundle)
    for part in parts:
        del record.parts[part]
    record.save(bundle)
    (bundle / CARD_FILE).unlink()


def times(bundle):
    return {path: path.stat().st_mtime_ns for path in bundle.rglob("*.onnx")}


def test_a_second_export_finds_every_part_done_and_gives_the_same_card(exported, again):
    bundle, export = again
    before = times(bundle)
    export()
    assert times(bundle) == before
    assert ModelCard.load(bundle) == ModelCard.load(exported.bundle)


def test_models_of_profiles_that_are_gone_leave_the_repository(again):
    bundle, export = again
    export("--profiles", "bare,balanced")
    export("--profiles", "bare")
    models = {folder.name for folder in (bundle / "triton_models").iterdir()}
    assert models == {"text_encoder", "unet_full"}


def test_profiles_that_never_run_the_whole_unet_are_exported_with_it(again):
    """Evals, the card's unit of cost, are passes of the whole UNet."""
    bundle, export = again
    export("--profiles", "paper")
    kinds = {kind.name: kind for kind in ModelCard.load(bundle).step_kinds}
    assert set(kinds) == {"unet_full"} | Profile.PAPER.step_kinds()
    assert kinds["unet_full"].evals == 1


def test_a_cut_off_export_goes_on_with_its_settings(exported, again):
    bundle, export = again
    forget(bundle, "vae")
    (bundle / "vae" / "decoder.onnx").unlink()
    with pytest.raises(InvalidBundle):
        open_bundle(bundle)
    before = times(bundle)
    export()
    assert times(bundle).items() >= before.items()
    assert ModelCard.load(bundle) == ModelCard.load(exported.bundle)
    open_bundle(bundle)


@pytest.mark.parametrize(
    "file", ["vae/decoder.onnx", "vae/diffusion_pytorch_model.fp16.safetensors"]
)
def test_a_damaged_file_is_not_served_and_is_made_again(again, file):
    bundle, export = again
    content = (bundle / file).read_bytes()
    (bundle / file).write_bytes(content[:-3])
    with pytest.raises(ModelMismatch):
        open_bundle(bundle)
    export()
    assert (bundle / file).read_bytes() == content
    open_bundle(bundle)


def test_a_damaged_source_leaves_no_card(exported, tmp_path):
    cloud = shutil.copytree(exported.cloud, tmp_path / "cloud")
    weights = next((cloud / "unet").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-8])
    bundle = tmp_path / "bundle"
    with pytest.raises(ExportFailed, match="is no usable safetensors file"):
        invoke("--cloud", cloud, "--device", exported.device, "--out", bundle)
    assert not (bundle / CARD_FILE).exists()


@contextlib.contextmanager
def small_files():
    """No file may grow beyond 8 KiB, as on a disk that is full; pytest's own output is a file."""
    old_limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    old_handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, old_limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old_limits)
        signal.signal(signal.SIGXFSZ, old_handler)


def test_a_full_disk_leaves_nothing_that_serves(exported, tmp_path):
    bundle = tmp_path / "bundle"
    message = "make room or repair it, and export again"
    with small_files(), pytest.raises(ExportFailed, match=message):
        invoke("--cloud", exported.cloud, "--device", exported.device, "--out", bundle)
    assert not (bundle / CARD_FILE).exists()
    assert not list(bundle.rglob("*.partial"))
    assert not list(bundle.rglob("*.onnx"))


def test_too_small_a_disk_is_told_before_anything_is_written(tmp_path):
    require_disk(tmp_path / "out", Needs(disk_bytes=1, memory_bytes=0))
    with pytest.raises(
        ExportFailed, match=r"needs 1048576\.00 GiB and its disk has .*another --out"
    ):
        require_disk(tmp_path / "out", Needs(disk_bytes=2**50, memory_bytes=0))
    assert not (tmp_path / "out").exists()


def test_a_damaged_record_is_as_none(tmp_path):
    (tmp_path / RECORD_FILE).write_text('{"parts": 3}')
    assert ExportRecord.load(tmp_path) == ExportRecord()
