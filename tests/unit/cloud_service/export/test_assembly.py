"""What a bundle's folder holds before its graphs, and what an export says it needs."""

import json
import os
import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed (extra: export)")
pytest.importorskip("diffusers", reason="diffusers is not installed (extra: export)")
pytest.importorskip("safetensors", reason="safetensors is not installed (extra: export)")

import tokenizers
import torch
from safetensors.torch import load_file, save_file

from cloud_service.export.assembly import assemble, require_place
from cloud_service.export.bundle_folder import BundleFolder
from cloud_service.export.errors import ExportFailed
from cloud_service.export.needs import estimate
from cloud_service.export.pair import ModelPair
from cloud_service.export.weights_file import weights_in
from tests.fakes.tiny_pipeline import Tiny, edit_json, save_tiny_pair

FAMILY = Path(__file__).parents[4] / "demo_models" / "weights"
pytestmark = pytest.mark.timeout(120)  # the first test waits for torch


def stamps(folder):
    return {
        path.relative_to(folder): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def float32_pair(tmp_path_factory):
    folders = save_tiny_pair(tmp_path_factory.mktemp("wide"), Tiny(variant=None))
    return ModelPair(*folders, None, None)


def test_the_embedded_family_is_a_pair_like_any_other_and_stays_as_it_is(tmp_path):
    bundle = shutil.copytree(FAMILY, tmp_path / "weights")
    pair = ModelPair(bundle, bundle / "device_unet", None, None)
    before = stamps(bundle)
    assemble(pair, bundle, None)
    assert stamps(bundle) == before
    assert estimate(pair, bundle, None, graphs=0).disk_bytes == 0


def test_another_model_is_not_written_over(float32_pair, tmp_path):
    other = tmp_path / "other" / "unet"
    other.mkdir(parents=True)
    (other / "my-lora.safetensors").write_bytes(b"lora")
    (tmp_path / "file").write_bytes(b"")
    for place in (tmp_path / "other", tmp_path / "file"):
        with pytest.raises(ExportFailed, match="holds something that is no bundle; name an empty"):
            require_place(float32_pair, place)


def test_a_bundle_an_empty_folder_and_a_source_are_places(float32_pair, tmp_path):
    for name in ("card.json", ".obclip-export.json"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_bytes(b"{}")
        require_place(float32_pair, tmp_path / name)
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "empty", tmp_path / "absent", float32_pair.cloud.path):
        require_place(float32_pair, place)


def test_float16_is_rounded_and_float32_is_copied(float32_pair, tmp_path):
    assemble(float32_pair, tmp_path, "fp16")
    half = weights_in(tmp_path / "unet")
    assert half.name == "diffusion_pytorch_model.fp16.safetensors"
    wide = load_file(weights_in(float32_pair.cloud.path / "unet"))
    for name, tensor in load_file(half).items():
        assert torch.equal(tensor, wide[name].half())
    before = contents(tmp_path)
    assemble(float32_pair, tmp_path, "fp16")
    assert contents(tmp_path) == before
    assemble(float32_pair, tmp_path, None)
    assert [path.name for path in (tmp_path / "unet").glob("*.safetensors")] == [
        "diffusion_pytorch_model.safetensors"
    ]


def test_float32_is_refused_where_weights_are_float16(saved_pair, tmp_path):
    pair = ModelPair(*saved_pair, None, None)
    with pytest.raises(ExportFailed, match="holds 0 weight files of fp32"):
        assemble(pair, tmp_path, "fp32")


def test_the_disk_that_is_told_is_the_disk_that_is_taken(float32_pair, tmp_path):
    for precision in (None, "fp16"):
        bundle = tmp_path / str(precision)
        needs = estimate(float32_pair, bundle, precision, graphs=0)
        assemble(float32_pair, bundle, precision)
        weights = sum(path.stat().st_size for path in bundle.rglob("*.safetensors"))
        # Headers are estimated from the numbers alone where weights are rounded.
        assert weights == pytest.approx(needs.disk_bytes, rel=0.1)
        assert estimate(float32_pair, bundle, None, graphs=2).disk_bytes >= 2 * 2**20


def test_sdxls_second_text_encoder_lies_in_the_firsts_folder(tmp_path):
    cloud, device = save_tiny_pair(tmp_path, Tiny(is_xl=True))
    bundle = tmp_path / "bundle"
    assemble(ModelPair(cloud, device, None, None), bundle, None)
    folder = BundleFolder(bundle, 8, 64, has_device_text=False)
    assert folder.text.second_encoder == bundle / "text_encoder" / "second"
    assert folder.text.format.embedding_shape == (13, 56)
    assert folder.text.ids.second_pad_token_id == 0
    assert folder.text.ids.zeroed == (2, *[3] * 11)


def test_a_device_with_its_own_text_encoder_keeps_it_beside_its_unet(tmp_path):
    cloud, device = save_tiny_pair(tmp_path, Tiny(), shared_seed=5)
    bundle = tmp_path / "bundle"
    pair = ModelPair(cloud, device, "cloud", None)
    assemble(pair, bundle, None)
    own = BundleFolder(bundle, 8, 64, has_device_text=True).device_text
    assert own.encoder == bundle / "device_unet" / "text_encoder"
    assert own.weights_digest == pair.device_text.weights_digest != pair.cloud.text.weights_digest


@pytest.mark.parametrize("precision", ["fp16", None])
def test_another_pair_of_the_same_shape_and_age_leaves_nothing_of_the_first(
    float32_pair, tmp_path, precision
):
    """As of two downloads that are older than the bundle."""
    cloud, device = save_tiny_pair(tmp_path, Tiny(variant=None, seed=5))
    for folder in (float32_pair.cloud.path, float32_pair.device_pipeline.path, cloud, device):
        for file in folder.rglob("*.*"):
            os.utime(file, (1, 1))
    pair = ModelPair(cloud, device, None, None)
    old, new = tmp_path / "old", tmp_path / "new"
    assemble(float32_pair, old, precision)
    assemble(pair, old, precision)
    assemble(pair, new, precision)
    assert contents(old) == contents(new)


def test_rounded_weights_that_are_damaged_are_rounded_again(float32_pair, tmp_path):
    assemble(float32_pair, tmp_path, "fp16")
    half = weights_in(tmp_path / "unet")
    content = half.read_bytes()
    half.write_bytes(content[:-2])
    assemble(float32_pair, tmp_path, "fp16")
    assert half.read_bytes() == content


@pytest.fixture(scope="module")
def rich_pair(tmp_path_factory):
    """Two text encoders on each side, none of them shared."""
    folder = tmp_path_factory.mktemp("rich")
    folders = save_tiny_pair(folder, Tiny(is_xl=True, variant=None), shared_seed=5)
    return ModelPair(*folders, "cloud", None)


def test_after_another_pair_a_bundle_is_as_if_it_were_new(rich_pair, saved_pair, tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    assemble(rich_pair, old, None)
    graphs = ("text_encoder", "device_unet/text_encoder", "device_unet/text_encoder/second")
    for folder in graphs:
        (old / folder / "model.onnx").touch()
    (old / "unet" / "notes.md").write_text("the operator's own")
    pair = ModelPair(*saved_pair, None, None)
    assemble(pair, old, None)
    assemble(pair, new, None)
    left = contents(old)
    assert left.pop(Path("unet/notes.md"))
    assert left.pop(Path("text_encoder/model.onnx")) == b""  # it is looked at again, and replaced
    assert left == contents(new)
    folders = [path.relative_to(old) for path in old.rglob("*") if path.is_dir()]
    assert sorted(folders) == sorted(p.relative_to(new) for p in new.rglob("*") if p.is_dir())


def test_what_models_are_taken_from_is_never_cleared(pair):
    """The bundle is the cloud's own folder, and the device's lies where its UNet is to go."""
    cloud, device = pair
    (cloud / "text_encoder" / "second").mkdir()
    (cloud / "text_encoder" / "second" / "config.json").write_text("{}")
    (cloud / "unet" / "other.json").write_text("{}")
    home = cloud / "device_unet"
    shutil.move(device, home)
    before = contents(cloud)
    assemble(ModelPair(cloud, home, None, None), cloud, None)
    assert before.items() <= contents(cloud).items()


def test_a_device_that_shares_the_text_encoder_loses_its_old_one(pair, tmp_path):
    cloud, device = pair
    own = shutil.copytree(device, tmp_path / "own")
    edit_json(own / "text_encoder" / "config.json", note="another")
    weights = weights_in(own / "text_encoder")
    tensors = load_file(weights)
    save_file({name: tensor + 1 for name, tensor in tensors.items()}, weights, {"format": "pt"})
    assemble(ModelPair(cloud, own, None, None), cloud, None)
    assert (cloud / "device_unet" / "text_encoder").is_dir()
    assemble(ModelPair(cloud, device, None, None), cloud, None)
    assert not (cloud / "device_unet" / "text_encoder").exists()
    assert not (cloud / "device_unet" / "tokenizer").exists()
    assert (cloud / "text_encoder").is_dir()


@pytest.mark.parametrize("was_there", [False, True])
def test_a_tokenizer_of_vocabulary_and_merges_becomes_one_file(pair, tmp_path, was_there):
    cloud, device = pair
    bundle = tmp_path / "bundle"
    if was_there:  # of another pair
        shutil.copytree(cloud / "tokenizer", bundle / "tokenizer")
    letters = ["<|startoftext|>", "<|endoftext|>", "a</w>", "o", "l", "d</w>", "ol", "old</w>"]
    for folder in (cloud / "tokenizer", device / "tokenizer"):
        shutil.rmtree(folder)
        folder.mkdir()
        ids = {word: index for index, word in enumerate(letters)}
        (folder / "vocab.json").write_text(json.dumps(ids))
        (folder / "merges.txt").write_text("#version: 0.2\no l\nol d</w>\n")
        edit_json(
            folder / "tokenizer_config.json",
            tokenizer_class="CLIPTokenizer",
            model_max_length=12,
            bos_token="<|startoftext|>",  # noqa: S106 -- a vocabulary entry
            eos_token="<|endoftext|>",  # noqa: S106
            pad_token="<|endoftext|>",  # noqa: S106
            unk_token="<|endoftext|>",  # noqa: S106
        )
    assemble(ModelPair(cloud, device, None, None), bundle, None)
    written = tokenizers.Tokenizer.from_file(str(bundle / "tokenizer" / "tokenizer.json"))
    assert written.encode("a old").ids == [0, 2, 7, 1]
