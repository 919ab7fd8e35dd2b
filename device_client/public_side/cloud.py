"""The cloud as the device sees it: one exchange in which everything is public."""

from dataclasses import dataclass, field

from device_client.public_side.coins import Coins
from device_client.public_side.request import build_request
from device_client.public_side.response_stream import OnProgress
from device_client.public_side.settings import GenerationSettings
from device_client.public_side.transport import Transport
from device_client.public_side.validated_batch import validate_batch
from device_client.transformation.skeleton import Skeleton
from obclip.card import ModelCard
from obclip.solver import SolverState
from obclip.v1 import generation_pb2


@dataclass(frozen=True, eq=False)
class CloudShare:
    """What came back, validated.

    Attributes:
        batch: State of all candidates after step k-1, arrays (N, C, H, W) float32.
        statistics: What the service says about its work.
        sent_bytes: Size of the request.
        received_bytes: Size of all responses.
    """

    batch: SolverState = field(repr=False)
    statistics: generation_pb2.Statistics
    sent_bytes: int
    received_bytes: int


class Cloud:
    """A service whose models are those of this device's bundle.

    Attributes:
        card: The service's card.
    """

    def __init__(self, transport: Transport, model_card: ModelCard) -> None:
        """Asks the service for its card and compares it with the bundle's.

        Args:
            transport: An open connection; the caller closes it.
            model_card: Of the device's bundle.

        Raises:
            ModelMismatch: The service runs other models.
            ObclipError: The call failed.
        """
        self._transport = transport
        self._cloud_unet_digest = model_card.models.cloud_unet
        self.card = transport.service_card()
        self.card.require_bundle(model_card)

    def denoise(
        self,
        skeleton: Skeleton,
        settings: GenerationSettings,
        coins: Coins,
        on_progress: OnProgress,
    ) -> CloudShare:
        """Has all candidates denoised for the first k steps.

        Args:
            skeleton: The prompt with its sensitive slots emptied.
            settings: Public settings.
            coins: Public randomness.
            on_progress: Told about queue positions and cloud steps.

        Raises:
            ObclipError: The call failed, or the answer is not whole and sound.
        """
        request = build_request(skeleton, settings, coins, self._cloud_unet_digest)
        answer = self._transport.generate(request, self.card.limits, on_progress)
        batch = validate_batch(
            answer.batch, len(request.candidates), self.card.latents, settings.switch_point
        )
        return CloudShare(batch, answer.statistics, request.ByteSize(), answer.received_bytes)
