"""One `obclip generate`: connects, tells what will be sent, makes the picture, writes it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from device_client.client import ObCLIP, require_words
from device_client.commands.picture_file import PictureFile
from device_client.commands.progress import progress
from device_client.commands.summary import tell_leakage
from device_client.options import DEVICE_ONLY, GenerationOptions
from device_client.public_side.transport import Tls
from device_client.report import CloudReport, GenerationResult
from obclip.addresses import is_loopback
from obclip.errors import PromptRefused


@dataclass(frozen=True)
class Place:
    """Where the picture is made.

    Attributes:
        server: "host:port" of the service, or None to use the device alone.
        tls: How to encrypt, or None for plain text.
        timeout_s: Longest wait for the service, seconds, or None for as long as it allows.
        bundle: Folder of the model bundle, or None for the embedded family.
        threads: Threads of the device's models, or None for up to four.
    """

    server: str | None
    tls: Tls | None
    timeout_s: float | None
    bundle: Path | None
    threads: int | None

    @property
    def is_overheard(self) -> bool:
        """Whether others than the service can read what is sent."""
        return self.server is not None and self.tls is None and not is_loopback(self.server)

    def open(self) -> ObCLIP:
        """Returns the client, connected unless the device works alone.

        Raises:
            ObclipError: The service or the bundle cannot be used.
        """
        if self.server is None:
            return ObCLIP.offline(self.bundle, threads=self.threads)
        return ObCLIP.connect(
            self.server,
            self.bundle,
            tls=self.tls,
            timeout_s=self.timeout_s,
            threads=self.threads,
        )


@dataclass(frozen=True)
class Order:
    """What the user wants.

    Attributes:
        prompt: What to show.
        options: Of the generation.
        place: Where to make it.
        picture: File of the picture.
        sheet: File of the sheet, or None.
    """

    prompt: str
    options: GenerationOptions
    place: Place
    picture: PictureFile
    sheet: PictureFile | None

    def fulfil(self, *, quiet: bool, as_json: bool) -> None:
        """Makes the picture and tells about it.

        Args:
            quiet: Print the picture's path alone.
            as_json: Print one JSON object.

        Raises:
            ObclipError: Something failed; no file was written, except the picture if it was the
                sheet that could not be.
        """
        require_words(self.prompt)
        silent = quiet or as_json
        with self.place.open() as client:
            if not silent and self.place.server is not None and self.options["switch_point"] != 0:
                self._tell_leakage(client)
            with progress(quiet=silent) as on_progress:
                result = client.generate(self.prompt, on_progress=on_progress, **self.options)
        picture = self.picture.write(result.image)
        sheet = self.sheet.write(result.sheet) if self.sheet and result.sheet else None
        if as_json:
            typer.echo(json.dumps(_facts(result, picture, sheet)))
            return
        if not quiet:
            _tell_report(result)
            if self.sheet is not None and sheet is None:
                typer.echo("No sheet was drawn: no service saw anything.", err=True)
        typer.echo(picture)

    def _tell_leakage(self, client: ObCLIP) -> None:
        try:
            skeleton = client.preview(self.prompt, **self.options)
        except PromptRefused:
            if self.options["on_unknown"] != DEVICE_ONLY:
                raise
            return
        tell_leakage("The service will learn:", skeleton)
        if self.place.is_overheard:
            typer.echo("Warning: without --tls the network reads what the service does.", err=True)


def _facts(result: GenerationResult, picture: Path, sheet: Path | None) -> dict[str, object]:
    return {
        "image": str(picture),
        "sheet": None if sheet is None else str(sheet),
        "unknown_words": result.unknown_words,
        "words_cut": result.are_words_cut,
        "report": asdict(result.report),
    }


def _tell_report(result: GenerationResult) -> None:
    report = result.report
    if report.refusal is not None:
        typer.echo(
            f"Nothing was sent: the prompt cannot be hidden ({report.refusal}). "
            "The device did all steps with its small model.",
            err=True,
        )
    if report.cloud is not None and report.cloud.is_cut:
        typer.echo("The prompt's end was cut: the cloud's text encoder takes no more.", err=True)
    if result.are_words_cut:
        typer.echo("The prompt's end was cut: the device's text encoder takes no more.", err=True)
    if result.unknown_words:
        words = ", ".join(result.unknown_words)
        typer.echo(f"Words that the models do not know and ignore: {words}", err=True)
    if report.cloud is not None:
        typer.echo(_exchange(report.cloud), err=True)
    typer.echo(f"Device: {report.device_s:.1f} s. Seed: {report.seed}.", err=True)


def _exchange(cloud: CloudReport) -> str:
    made = f"{cloud.candidates} candidates" if cloud.candidates > 1 else "one prompt"
    return (
        f"Cloud: {cloud.wall_s:.1f} s for {made}, "
        f"{cloud.sent_bytes / 1024:.1f} KiB sent, {cloud.received_bytes / 1024:.1f} KiB received."
    )
