"""The arrows between the packages, over every import of the tree.

Arrows: cloud_service -> obclip <- device_client, never across; inside device_client the public and
the private side are two rooms with one door.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = ("obclip", "cloud_service", "device_client", "demo_models", "triton_models", "benchmarks")
HEAVY = frozenset({"torch", "diffusers", "transformers", "accelerate"})
COMPUTED = "<a name computed at run time>"
SOCKETS = frozenset({"asyncio", "ftplib", "grpc", "http", "smtplib", "socket", "ssl", "urllib"})


@dataclass(frozen=True)
class Rule:
    """What the modules below a package may import.

    Attributes:
        package: Dotted name; it applies to everything below it.
        ours: Names of this project that may be imported, with all below them; None is any.
        third_party: Top-level packages beside the standard library; None is any.
        never: Names that may not be imported, whatever the other fields say.
        exempt: Modules below the package to which the rule does not apply.
    """

    package: str
    ours: frozenset[str] | None = None
    third_party: frozenset[str] | None = None
    never: frozenset[str] = frozenset()
    exempt: frozenset[str] = field(default_factory=frozenset)


RULES = [
    Rule(
        "obclip",
        ours=frozenset({"obclip"}),
        third_party=frozenset({"google", "grpc", "numpy"}),
        never=frozenset({COMPUTED}),
    ),
    Rule(
        "device_client",
        ours=frozenset({"device_client", "obclip"}),
        third_party=frozenset(
            {"grpc", "numpy", "onnxruntime", "PIL", "rich", "tokenizers", "typer"}
        ),
        never=frozenset({COMPUTED}),
    ),
    # One module opens sockets.
    Rule(
        "device_client",
        never=SOCKETS,
        exempt=frozenset({"device_client.public_side.transport"}),
    ),
    Rule(
        "device_client.public_side",
        ours=frozenset(
            {"obclip", "device_client.public_side", "device_client.transformation.skeleton"}
        ),
        never=frozenset({"logging"}),
    ),
    Rule(
        "device_client.private_side",
        ours=frozenset(
            {
                "obclip",
                "device_client.private_side",
                "device_client.bundle",
                "device_client.tokenizer",
            }
        ),
        never=frozenset({"logging", "obclip.v1", "subprocess"}),
    ),
    Rule(
        "device_client.transformation",
        ours=frozenset(
            {
                "obclip.errors",
                "device_client.limits",
                "device_client.transformation",
                "device_client.private_side.choice.Choice",
            }
        ),
        third_party=frozenset(),
        never=frozenset({"logging", "subprocess"}),
    ),
    # Only the private side reads a choice.
    Rule(
        "device_client",
        never=frozenset(
            {
                "device_client.private_side.choice.index_of",
                "device_client.private_side.choice.own_words_of",
            }
        ),
        exempt=frozenset({"device_client.private_side", "device_client.audit"}),
    ),
    # What weighs the candidates sees the skeleton alone, so that its verdict is public.
    Rule(
        "device_client.prior",
        ours=frozenset({"device_client.prior", "device_client.transformation.skeleton"}),
        third_party=frozenset({"numpy"}),
        never=frozenset({"logging", "subprocess"}),
    ),
    # The auditor knows the truth, so it has no door to the network, and only its command opens it.
    Rule(
        "device_client.audit",
        ours=frozenset(
            {
                "obclip.errors",
                "device_client.audit",
                "device_client.limits",
                "device_client.private_side.choice",
                "device_client.transformation",
            }
        ),
        third_party=frozenset({"numpy"}),
        never=frozenset({"logging", "subprocess"}),
    ),
    Rule(
        "device_client",
        never=frozenset({"device_client.audit"}),
        exempt=frozenset({"device_client.audit", "device_client.commands.audit"}),
    ),
    Rule("cloud_service", never=frozenset({"device_client", "demo_models"})),
    Rule("cloud_service", never=HEAVY, exempt=frozenset({"cloud_service.export"})),
    Rule("demo_models", never=frozenset({"device_client"})),
    Rule("triton_models", ours=frozenset({"cloud_service.triton_backend"})),
]


def is_below(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def is_below_any(name: str, packages: frozenset[str]) -> bool:
    return any(is_below(name, package) for package in packages)


def imported_names(tree: ast.AST, module: str, is_package: bool) -> Iterator[str]:
    """Yields every imported name in full, function-level and dynamic imports included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = module.split(".")
                kept = parents[: len(parents) - node.level + is_package]
                base = ".".join([*kept, *([base] if base else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call):
            yield from dynamic_names(node)


def dynamic_names(node: ast.Call) -> Iterator[str]:
    function = ast.unparse(node.func)
    if function.rsplit(".", 1)[-1] in {"__import__", "import_module"}:
        target = node.args[0] if node.args else None
        yield str(target.value) if isinstance(target, ast.Constant) else COMPUTED


def breaks(rule: Rule, name: str) -> bool:
    top = name.split(".", maxsplit=1)[0]
    if is_below_any(name, rule.never):
        return True
    if top in OURS:
        return rule.ours is not None and not is_below_any(name, rule.ours)
    foreign = top not in sys.stdlib_module_names
    return foreign and rule.third_party is not None and top not in rule.third_party


def violations(source: str, module: str, *, is_package: bool = False) -> list[str]:
    names = list(imported_names(ast.parse(source), module, is_package))
    return [
        f"{module} imports {name}"
        for rule in RULES
        if is_below(module, rule.package) and not is_below_any(module, rule.exempt)
        for name in names
        if breaks(rule, name)
    ]


def modules() -> list[tuple[str, Path]]:
    found = []
    for package in OURS:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found.append((name, path))
    return found


@pytest.mark.parametrize(("module", "path"), modules(), ids=str)
def test_every_import_follows_the_arrows(module: str, path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert violations(source, module, is_package=path.name == "__init__.py") == []


def test_the_tree_is_what_the_rules_speak_of() -> None:
    names = [name for name, _path in modules()]
    for rule in RULES:
        for package in {rule.package, *rule.exempt}:
            assert any(is_below(name, package) for name in names), package


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("obclip.plan", "import device_client.client"),
        ("obclip.plan", "import onnxruntime"),
        ("cloud_service.server", "from device_client import bundle"),
        ("cloud_service.server", "def f():\n    import torch"),
        ("device_client.report", "import cloud_service"),
        ("device_client.report", "from torch import nn"),
        ("device_client.report", "import tritonclient.grpc"),
        ("device_client.report", "import demo_models"),
        ("device_client.report", "import socket"),
        ("device_client.report", "import importlib\nimportlib.import_module('torch')"),
        ("device_client.report", "name = 'a'\n__import__(name)"),
        ("device_client.client", "from device_client.private_side.choice import index_of"),
        ("device_client.client", "from device_client.private_side.choice import own_words_of"),
        ("device_client.public_side.request", "from device_client.private_side import choice"),
        ("device_client.public_side.request", "from device_client.transformation import transform"),
        ("device_client.public_side.request", "from device_client import transformation"),
        ("device_client.public_side.request", "from ..private_side.choice import Choice"),
        ("device_client.public_side.request", "from device_client.client import ObCLIP"),
        ("device_client.private_side.graph", "from device_client.public_side import transport"),
        ("device_client.private_side.graph", "from obclip.v1 import generation_pb2"),
        ("device_client.private_side.graph", "import urllib.request"),
        ("device_client.private_side.graph", "import logging"),
        ("device_client.private_side.graph", "from device_client.client import ObCLIP"),
        ("device_client.transformation.skeleton", "import grpc"),
        (
            "device_client.transformation.skeleton",
            "from device_client.private_side.choice import index_of",
        ),
        ("device_client.client", "from device_client.audit.transcript import Device"),
        ("device_client.audit.game", "from device_client.public_side import transport"),
        ("device_client.audit.game", "import grpc"),
        ("device_client.prior.model", "from device_client.private_side.choice import Choice"),
        ("device_client.prior.model", "from device_client.transformation import transform"),
        ("triton_models.unet_full.1.model", "import cloud_service.server"),
    ],
)
def test_a_wrong_import_is_caught(module: str, source: str) -> None:
    assert violations(source, module) != []
