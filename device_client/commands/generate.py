"""`obclip generate`: a picture from a prompt."""

from pathlib import Path
from typing import Annotated

import typer

from device_client.commands.arguments import (
    DEFAULT_SERVER,
    AsJson,
    BundleFolder,
    LexiconFile,
    MaxCandidates,
    NegativePrompt,
    Prompt,
    Server,
    Timeout,
    TlsCa,
    UseTls,
    read_prompt,
    to_tls,
)
from device_client.limits import DEFAULT_MAX_CANDIDATES

EXAMPLES = """
Examples:

    obclip generate 'a portrait of an old woman with glasses, at the beach'
    obclip generate 'a young man with a hat' --seed 7 -o hat.png --sheet cloud.png
    obclip generate - --server gpu.example.org:443 --tls < prompt.txt
    obclip generate 'a smiling woman' --device-only --json
    obclip generate - --on-unknown device-only < prompt.txt
"""


Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="FILE", help="Default: obclip.png, or -2, -3 ..."),
]
Sheet = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Also draw what the cloud saw; marks your candidate."),
]
Force = Annotated[bool, typer.Option("--force", "-f", help="Overwrite files.")]
Seed = Annotated[
    int | None,
    typer.Option(metavar="N", min=0, help="Gives the same picture again; default: random."),
]
Steps = Annotated[int | None, typer.Option(metavar="N", help="Denoising steps in all.")]
SwitchPoint = Annotated[
    int | None, typer.Option(metavar="N", help="Steps done by the cloud; the rest is the device's.")
]
GuidanceScale = Annotated[
    float | None,
    typer.Option(metavar="X", help="How closely to follow the prompt; 1: no guidance."),
]
DeviceGuidanceScale = Annotated[
    float | None,
    typer.Option(metavar="X", help="The same for the device's steps; 1 halves their time."),
]
ProfileName = Annotated[
    str,
    typer.Option(metavar="NAME", help="How the cloud saves work: balanced, fast, paper or bare."),
]
DeviceOnly = Annotated[
    bool, typer.Option("--device-only", help="No network: the small model does all steps.")
]
OnUnknown = Annotated[
    str,
    typer.Option(
        metavar="WHAT", help="A prompt that cannot be hidden: refuse it, or make it device-only."
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=1, max=1024, help="Threads of the device's models; default: up to 4."
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print the picture's path and nothing else.")
]


def generate(  # noqa: PLR0913  # typer reads the command line from the signature
    prompt: Prompt,
    *,
    out: Out = None,
    sheet: Sheet = None,
    force: Force = False,
    seed: Seed = None,
    steps: Steps = None,
    switch_point: SwitchPoint = None,
    guidance_scale: GuidanceScale = None,
    device_guidance_scale: DeviceGuidanceScale = None,
    negative_prompt: NegativePrompt = "",
    profile: ProfileName = "balanced",
    max_candidates: MaxCandidates = DEFAULT_MAX_CANDIDATES,
    device_only: DeviceOnly = False,
    on_unknown: OnUnknown = "refuse",
    lexicon: LexiconFile = None,
    server: Server = DEFAULT_SERVER,
    tls: UseTls = False,
    tls_ca: TlsCa = None,
    timeout: Timeout = None,
    bundle: BundleFolder = None,
    threads: Threads = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make a picture: the cloud denoises all candidates, the device finishes yours.

    Your prompt stays here. The cloud gets its candidates: every combination of values of the
    sensitive attributes that it mentions, as `obclip candidates` shows.
    """
    from device_client.commands.order import Order, Place  # noqa: PLC0415  # keeps --help quick
    from device_client.commands.picture_file import (  # noqa: PLC0415  # keeps --help quick
        choose_files,
    )

    picture_file, sheet_file = choose_files(out, sheet, overwrite=force)
    order = Order(
        prompt=read_prompt(prompt),
        options={
            "negative_prompt": negative_prompt,
            "seed": seed,
            "steps": steps,
            "switch_point": switch_point,
            "guidance_scale": guidance_scale,
            "device_guidance_scale": device_guidance_scale,
            "profile": profile,
            "max_candidates": max_candidates,
            "on_unknown": on_unknown,
            "lexicon": lexicon,
            "sheet": sheet is not None,
        },
        place=Place(None if device_only else server, to_tls(tls, tls_ca), timeout, bundle, threads),
        picture=picture_file,
        sheet=sheet_file,
    )
    order.fulfil(quiet=quiet, as_json=as_json)
