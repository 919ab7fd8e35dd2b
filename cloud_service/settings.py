"""What the operator can set: by options of `obclip serve`, or by OBCLIP_... in the environment."""

from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from cloud_service.startup_error import CannotStart
from obclip.card import Limits, ModelCard
from obclip.plan import Profile


class Transport(StrEnum):
    """How tensors reach the models and come back."""

    AUTO = "auto"
    """Through shared memory to a Triton of our own, where there is room; else by messages."""

    SHARED_MEMORY = "shared_memory"
    """Through memory that Triton, on this host, maps too; what a step leaves stays there."""

    MESSAGES = "messages"
    """In gRPC messages, to a Triton anywhere."""


class Settings(BaseSettings):
    """Settings of one service; the field `listen` is set by OBCLIP_LISTEN, and so on."""

    model_config = SettingsConfigDict(
        env_prefix="OBCLIP_", extra="forbid", frozen=True, use_attribute_docstrings=True
    )

    bundle: Path | None = None
    """Folder of the model bundle; None is the embedded family."""

    model_repository: Path | None = None
    """Triton's model repository; None writes one for the bundle, or takes the embedded one."""

    triton_url: str | None = None
    """host:port of a Triton that runs already; None starts one on this host."""

    listen: str = "127.0.0.1:50051"
    """host:port of the orchestrator; port 0 takes a free one."""

    tls_cert: Path | None = None
    """PEM file with the server's certificate chain."""

    tls_key: Path | None = None
    """PEM file with the server's private key."""

    insecure: bool = False
    """Permits plain text on addresses other than loopback, e.g. behind a proxy that ends TLS."""

    metrics_port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """Loopback port of the Prometheus metrics; 0 takes a free one, None serves none."""

    profiles: tuple[Profile, ...] = (Profile.BARE, Profile.BALANCED, Profile.FAST)
    """Profiles that are served, as a JSON list; only their step kinds are loaded, which together
    hold little more than one UNet. "paper" needs copies of most of it."""

    max_candidates: int = 32
    """Candidates of one request; 32 with their guidance branch fill Triton's batch of 64."""

    max_prompt_bytes: int = 1024
    """UTF-8 bytes of one prompt."""

    max_steps: int = 100
    """Denoising steps of one run."""

    max_guidance_scale: float = 20.0
    """Largest guidance scale."""

    max_queue: int = 16
    """Requests that may wait; one more is refused."""

    max_running: Annotated[int, Field(ge=1, le=64)] = 4
    """Requests that run at the same time; their calls merge in Triton. Four of six candidates fit
    one batch of 64, so no step waits for a new request's; each has a slot of shared memory."""

    transport: Transport = Transport.AUTO
    """"auto", "shared_memory" or "messages": how tensors reach the models and come back."""

    request_timeout_s: int = 300
    """Seconds until a request is ended, the wait in the queue included."""

    model_call_timeout_s: Annotated[float, Field(gt=0)] = 60.0
    """Seconds until one call to Triton is given up."""

    triton_start_timeout_s: Annotated[float, Field(gt=0)] = 120.0
    """Seconds that Triton may take to load and warm its models."""

    readiness_interval_s: Annotated[float, Field(gt=0)] = 2.0
    """Seconds between two looks at Triton's readiness, which the health service repeats."""

    shutdown_grace_s: Annotated[float, Field(ge=0)] = 3.0
    """Seconds that running requests get to finish when the service stops."""

    verbose: bool = False
    """Shows Triton's own log."""

    def limits(self, card: ModelCard) -> Limits:
        """The limits that this service states on its card.

        Raises:
            CannotStart: a limit is outside what the wire contract allows.
        """
        try:
            return Limits(
                max_candidates=self.max_candidates,
                max_prompt_bytes=self.max_prompt_bytes,
                max_prompt_tokens=card.text.max_tokens,
                max_steps=min(self.max_steps, _most_steps(card)),
                max_guidance_scale=self.max_guidance_scale,
                max_queue=self.max_queue,
                request_timeout_s=self.request_timeout_s,
            )
        except ValueError as error:
            raise CannotStart(str(error), "change that OBCLIP_ setting") from error


def _most_steps(card: ModelCard) -> int:
    if card.distillation is not None:
        return card.distillation.original_steps
    return card.schedule.num_train_timesteps - 1


def embedded_bundle() -> Path:
    """Folder of the embedded model family, found without importing it.

    Raises:
        CannotStart: the package demo_models is not installed.
    """
    return package_folder("demo_models") / "weights"


def package_folder(name: str) -> Path:
    """Folder of an installed package of this project, found without importing it.

    Raises:
        CannotStart: it is not installed.
    """
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise CannotStart(f"the package {name} is not installed", "install obclip again")
    return Path(next(iter(spec.submodule_search_locations)))
