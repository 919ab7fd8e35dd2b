"""Deliberate leaks of the transport and of what the device says, as patches of the real client.

The real public side cannot know the choice; each patch hands it the place of the user's candidate.
"""

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import grpc
import pytest

from device_client import client
from device_client.client import ObCLIP
from device_client.private_side.choice import Choice
from device_client.public_side import cloud, transport
from device_client.public_side.cloud import Cloud
from device_client.public_side.coins import Coins
from device_client.public_side.transport import Transport
from device_client.public_side.validated_batch import validate_batch
from device_client.report import CloudReport
from obclip.errors import WireError
from obclip.tensors import decode

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Secret:
    """What a leaky public side would know.

    Attributes:
        own: Place of the user's candidate.
        prompt: The user's words.
    """

    own: int
    prompt: str


@dataclass(frozen=True)
class TransportLeak:
    """A deliberate leak.

    Attributes:
        patch: Puts it into the real client.
        needs: "honest"; "damage" for a service that damages one candidate; "stall" for one
            that stops sending; "twice" for two requests.
    """

    patch: Callable[[Patch, Secret], None]
    needs: str = "honest"


def in_request(change: Callable[[Any, Secret], object]) -> Callable[[Patch, Secret], None]:
    """Returns the patch that changes the message."""

    def patch(monkeypatch: Patch, secret: Secret) -> None:
        build = cloud.build_request

        def leaky(*arguments: Any) -> Any:
            request = build(*arguments)
            change(request, secret)
            return request

        monkeypatch.setattr(cloud, "build_request", leaky)

    return patch


def in_call(**options: Callable[[Secret], Any]) -> Callable[[Patch, Secret], None]:
    """Returns the patch that makes the call with other options of gRPC."""

    def patch(monkeypatch: Patch, secret: Secret) -> None:
        make = Transport.__init__

        def leaky(self: Transport, *arguments: Any) -> None:
            make(self, *arguments)
            generate = self._stub.Generate
            told = {name: value(secret) for name, value in options.items()}
            self._stub.Generate = lambda request, timeout: generate(
                request, timeout=timeout, **told
            )

        monkeypatch.setattr(Transport, "__init__", leaky)

    return patch


def in_channel(option: Callable[[Secret], tuple[str, Any]]) -> Callable[[Patch, Secret], None]:
    """Returns the patch that opens the connection with another option."""

    def patch(monkeypatch: Patch, secret: Secret) -> None:
        real = grpc.insecure_channel
        monkeypatch.setattr(
            transport.grpc,
            "insecure_channel",
            lambda address, options: real(address, [*options, option(secret)]),
        )

    return patch


def _rotate(request: Any, secret: Secret) -> None:
    texts = list(request.candidates)
    request.candidates[:] = texts[secret.own :] + texts[: secret.own]


def _seed_of_the_prompt(patch: Patch, secret: Secret) -> None:
    seed = int.from_bytes(secret.prompt.encode()[:6])
    patch.setattr(client, "toss", lambda _seed: Coins(seed + secret.own))


def _settings(patch: Patch, secret: Secret) -> None:
    real = client.to_settings
    patch.setattr(
        client, "to_settings", lambda *a: replace(real(*a), guidance_scale=2.0 + secret.own)
    )


def _own_row(secret: Secret) -> Callable[..., Any]:
    def leaky(batch: Any, count: int, latents: Any, _switch_point: int) -> Any:
        """Validates the user's own candidate and no other."""
        wanted = {
            "expected_type": latents.tensor_type,
            "expected_shape": (count, *latents.shape),
        }
        state = decode(batch.latents, **wanted)
        if not abs(state[secret.own]).max() < 1e4:
            raise WireError("latents are damaged")
        return client.SolverState(state, decode(batch.previous_x0, **wanted))

    return leaky


def _validating_own_row(patch: Patch, secret: Secret) -> None:
    patch.setattr(cloud, "validate_batch", _own_row(secret))


def _naming_the_row(patch: Patch, secret: Secret) -> None:
    def leaky(*arguments: Any) -> Any:
        try:
            return validate_batch(*arguments)
        except WireError as failure:
            _own_row(secret)(*arguments)
            raise WireError("another candidate is damaged") from failure

    patch.setattr(cloud, "validate_batch", leaky)


def _retry_for_own_row(patch: Patch, secret: Secret) -> None:
    denoise = Cloud.denoise

    def leaky(self: Cloud, *arguments: Any) -> Any:
        try:
            patch.setattr(cloud, "validate_batch", _own_row(secret))
            return denoise(self, *arguments)
        except WireError:
            return denoise(self, *arguments)

    patch.setattr(Cloud, "denoise", leaky)


def stop_reading(when: Callable[[Any, Secret, int], object]) -> Callable[[Patch, Secret], None]:
    """Returns the patch that stops reading the stream early."""

    def patch(monkeypatch: Patch, secret: Secret) -> None:
        real = transport.CallThread

        class Impatient(real):  # type: ignore[type-arg, misc, valid-type]
            def __iter__(self) -> Any:
                for number, response in enumerate(super().__iter__()):
                    yield response
                    if hasattr(response, "batch") and when(response, secret, number):
                        return

        monkeypatch.setattr(transport, "CallThread", Impatient)

    return patch


def _cache_by_prompt(patch: Patch, _secret: Secret) -> None:
    start = ObCLIP._start_with
    kept: dict[str, Any] = {}

    def leaky(self: ObCLIP, service: Cloud, prompt: str, job: Any) -> Any:
        if prompt not in kept:
            kept[prompt] = start(self, service, prompt, job)
        return kept[prompt]

    patch.setattr(ObCLIP, "_start_with", leaky)


def _more_cards(patch: Patch, secret: Secret) -> None:
    denoise = Cloud.denoise

    def leaky(self: Cloud, *arguments: Any) -> Any:
        for _ in range(secret.own):
            self._transport.service_card()
        return denoise(self, *arguments)

    patch.setattr(Cloud, "denoise", leaky)


def _in_two_halves(patch: Patch, secret: Secret) -> None:
    """Sends the own half of the set first, then the whole."""
    real = Transport.generate

    def leaky(self: Transport, request: Any, *others: Any) -> Any:
        half = type(request)()
        half.CopyFrom(request)
        del half.candidates[: 1 + (secret.own > 0)]
        real(self, half, *others)
        return real(self, request, *others)

    patch.setattr(Transport, "generate", leaky)


TRANSPORT_LEAKS: dict[str, TransportLeak] = {
    "metadata with the choice": TransportLeak(
        in_call(metadata=lambda secret: (("x-request-id", f"{secret.own}"),))
    ),
    "binary metadata with the choice": TransportLeak(
        in_call(metadata=lambda secret: (("trace-bin", bytes([secret.own])),))
    ),
    "compression by the choice": TransportLeak(
        in_call(
            compression=lambda secret: (
                grpc.Compression.Gzip if secret.own % 2 else grpc.Compression.NoCompression
            )
        )
    ),
    "user agent with the choice": TransportLeak(
        in_channel(lambda secret: ("grpc.primary_user_agent", f"obclip/{secret.own}"))
    ),
    "own candidate first in the message": TransportLeak(in_request(_rotate)),
    "seed derived from the prompt": TransportLeak(_seed_of_the_prompt),
    "guidance by the choice": TransportLeak(_settings),
    "steps by the choice": TransportLeak(
        in_request(lambda request, secret: setattr(request, "steps", 4 + secret.own))
    ),
    "digest marked": TransportLeak(
        in_request(
            lambda request, secret: setattr(request, "lexicon_version", "1" + " " * secret.own)
        )
    ),
    "negative prompt by the choice": TransportLeak(
        in_request(lambda request, secret: setattr(request, "negative_prompt", "x" * secret.own))
    ),
    "own candidate twice": TransportLeak(
        in_request(lambda request, s: request.candidates.append(request.candidates[s.own]))
    ),
    "unknown field": TransportLeak(
        in_request(lambda request, secret: request.MergeFromString(bytes([0xA0, 6, secret.own])))
    ),
    "more calls by the choice": TransportLeak(_more_cards),
    "split batches": TransportLeak(_in_two_halves),
    "early cancel": TransportLeak(
        stop_reading(lambda response, s, _n: s.own % 2 and response.HasField("batch"))
    ),
    "partial read": TransportLeak(
        stop_reading(lambda _r, secret, number: number == 2 * secret.own), "stall"
    ),
    "cache keyed by the prompt": TransportLeak(_cache_by_prompt, "twice"),
    "retry for the own candidate": TransportLeak(_retry_for_own_row, "damage"),
    "validating the own candidate alone": TransportLeak(_validating_own_row, "damage"),
    "the error names the own candidate": TransportLeak(_naming_the_row, "damage"),
}


# What the device says: each shows a word of the prompt where none may stand.


def _log_the_prompt(patch: Patch) -> None:
    real = client.hide

    def leaky(prompt: str, settings: Any) -> Any:
        logging.getLogger("obclip").debug("hiding %s", prompt)
        return real(prompt, settings)

    patch.setattr(client, "hide", leaky)


def _print_the_prompt(patch: Patch) -> None:
    real = client.hide

    def leaky(prompt: str, settings: Any) -> Any:
        sys.stderr.write(f"hiding {prompt}\n")
        return real(prompt, settings)

    patch.setattr(client, "hide", leaky)


def _error_with_the_prompt(patch: Patch) -> None:
    denoise = Cloud.denoise

    def leaky(self: Cloud, skeleton: Any, *arguments: Any) -> Any:
        try:
            return denoise(self, skeleton, *arguments)
        except WireError as failure:
            raise WireError(f"{failure.reason} for {skeleton.candidates()[-1]}") from None

    patch.setattr(Cloud, "denoise", leaky)


def _report_with_the_prompt(patch: Patch) -> None:
    real = CloudReport.of

    def leaky(skeleton: Any, *arguments: Any) -> CloudReport:
        return replace(real(skeleton, *arguments), leakage=(skeleton.masked_text,))

    patch.setattr(client.CloudReport, "of", leaky)


def _choice_that_prints(patch: Patch) -> None:
    start = client._Start

    def shown(self: Any) -> str:
        return f"<start of {client_words(self.choice)}>"

    patch.setattr(start, "__repr__", shown)
    finish = client._finish

    def leaky(models: Any, begun: Any, job: Any) -> Any:
        logging.getLogger("obclip").debug("finishing %r", begun)
        return finish(models, begun, job)

    patch.setattr(client, "_finish", leaky)


def client_words(choice: Choice) -> str:
    """Reads the user's own words, as a careless __repr__ would."""
    return str(object.__getattribute__(choice, "_Choice__own_words"))


SPOKEN_LEAKS: dict[str, Callable[[Patch], None]] = {
    "log of the prompt": _log_the_prompt,
    "prompt on the error stream": _print_the_prompt,
    "prompt in an error": _error_with_the_prompt,
    "prompt in the report": _report_with_the_prompt,
    "choice in a repr that is logged": _choice_that_prints,
}
