"""One `obclip generate`: connects, tells what will be sent, makes the picture, writes it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from device_client.client import ObCLIP, require_words
from device_client.commands.picture_file import write_picture
from device_client.commands.progress import progress
from device_client.commands.summary import tell_leakage
from device_client.options import DEVICE_ONLY, GenerationOptions
from device_client.public_side.transport import Tls
from device_client.report import CloudReport, GenerationResult
from device_client.transformation import TransformationRefused


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
        picture: File of the picture; it may be written.
        sheet: File of the sheet, or None.
    """

    prompt: str
    options: GenerationOptions
    place: Place
    picture: Path
    sheet: Path | None

    def fulfil(self, *, quiet: bool, as_json: bool) -> None:
        """Makes the picture and tells about it.

        Args:
            quiet: Print the picture's path alone.
            as_json: Print one JSON object.

        Raises:
            ObclipError: Something failed; no file was written.
        """
        require_words(self.prompt)
        silent = quiet or as_json
        with self.place.open() as client:
            if not silent and self.place.server is not None:
                self._tell_leakage(client)
            with progress(quiet=silent) as on_progress:
                result = client.generate(self.prompt, on_progress=on_progress, **self.options)
        self._write(result)
        if as_json:
            typer.echo(json.dumps(self._facts(result)))
            return
        if not quiet:
            _tell_report(result)
        typer.echo(self.picture)

    def _tell_leakage(self, client: ObCLIP) -> None:
        try:
            skeleton = client.preview(self.prompt, **self.options)
        except TransformationRefused:
            if self.options["on_unknown"] != DEVICE_ONLY:
                raise
            return
        tell_leakage("The service will learn:", skeleton)

    def _write(self, result: GenerationResult) -> None:
        write_picture(result.image, self.picture)
        if self.sheet is not None and result.sheet is not None:
            write_picture(result.sheet, self.sheet)

    def _facts(self, result: GenerationResult) -> dict[str, object]:
        return {
            "image": str(self.picture),
            "sheet": None if self.sheet is None else str(self.sheet),
            "unknown_words": result.unknown_words,
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
    if result.unknown_words:
        words = ", ".join(result.unknown_words)
        typer.echo(f"Words that the models do not know and ignore: {words}", err=True)
    if report.cloud is not None:
        typer.echo(_exchange(report.cloud), err=True)
    typer.echo(f"Device: {report.device_s:.1f} s. Seed: {report.seed}.", err=True)


def _exchange(cloud: CloudReport) -> str:
    return (
        f"Cloud: {cloud.wall_s:.1f} s for {cloud.candidates} candidates, "
        f"{cloud.sent_bytes / 1024:.1f} KiB sent, {cloud.received_bytes / 1024:.1f} KiB received."
    )
