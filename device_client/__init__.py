"""The device: it hides the prompt among its candidates, and finishes its own picture locally.

    from device_client.client import ObCLIP

    with ObCLIP.connect("127.0.0.1:50051") as obclip:
        result = obclip.generate("a portrait of an old woman with glasses, at the beach", seed=7)
    result.image.save("portrait.png")

The package is two rooms with one door. `public_side` produces every byte that leaves the device and
never learns which candidate the user meant; `private_side` knows and never sends. `client` is
the door: data crosses it once per picture, from the public side to the private one.

An application that uses ONNX Runtime itself imports this package first; see `obclip.quiet_runtime`.
"""

from obclip import quiet_runtime

quiet_runtime.switch_off()  # before any module below imports ONNX Runtime
