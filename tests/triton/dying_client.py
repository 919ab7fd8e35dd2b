"""A client that starts a long generation, says when it runs, and is then killed."""

import sys

import grpc

from obclip.card import ServiceCard
from obclip.v1 import service_card_pb2, service_pb2_grpc
from tests.generation_calls import request_for

STEPS = 900


def main(address: str) -> None:
    """Prints a line after the first step and reads on."""
    with grpc.insecure_channel(address) as channel:
        stub = service_pb2_grpc.ObclipServiceStub(channel)
        card = stub.GetServiceCard(service_card_pb2.GetServiceCardRequest(), timeout=10).card
        request = request_for(ServiceCard.from_proto(card), steps=STEPS, switch_point=STEPS)
        for response in stub.Generate(request, timeout=60):
            if response.WhichOneof("event") == "step_progress":
                sys.stdout.write("running\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
