"""GPUs that a node only believes to have: the kubelet's device plugin protocol (v1beta1) without a driver behind it.

    python tests/cluster/device_plugin.py FOLDER COUNT

FOLDER is the kubelet's `device-plugins`. A file FOLDER/../unhealthy-<i> makes GPU i unhealthy while it exists.
"""

import sys
import threading
import time
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

RESOURCE = "nvidia.com/gpu"
SOCKET = "fakegpu.sock"
_TEXT, _BOOL, _MESSAGE = 9, 8, 11
_ONE, _MANY = 1, 3

# Message -> fields: name, number, label, type, message's name. As in the kubelet's api.proto.
_MESSAGES: dict[str, list[tuple[str, int, int, int, str]]] = {
    "Empty": [],
    "DevicePluginOptions": [("pre_start_required", 1, _ONE, _BOOL, "")],
    "RegisterRequest": [
        ("version", 1, _ONE, _TEXT, ""),
        ("endpoint", 2, _ONE, _TEXT, ""),
        ("resource_name", 3, _ONE, _TEXT, ""),
    ],
    "Device": [("ID", 1, _ONE, _TEXT, ""), ("health", 2, _ONE, _TEXT, "")],
    "ListAndWatchResponse": [("devices", 1, _MANY, _MESSAGE, "Device")],
    "ContainerAllocateRequest": [("devices_ids", 1, _MANY, _TEXT, "")],
    "AllocateRequest": [("container_requests", 1, _MANY, _MESSAGE, "ContainerAllocateRequest")],
    "Env": [("key", 1, _ONE, _TEXT, ""), ("value", 2, _ONE, _TEXT, "")],
    # A map is a list of pairs on the wire.
    "ContainerAllocateResponse": [("envs", 1, _MANY, _MESSAGE, "Env")],
    "AllocateResponse": [("container_responses", 1, _MANY, _MESSAGE, "ContainerAllocateResponse")],
}


def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="deviceplugin.proto", package="v1beta1", syntax="proto3")
    for message, fields in _MESSAGES.items():
        made = file.message_type.add(name=message)
        for name, number, label, kind, of in fields:
            field = made.field.add(name=name, number=number, label=label, type=kind)
            if of:
                field.type_name = f".v1beta1.{of}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {n: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"v1beta1.{n}")) for n in _MESSAGES}


M = _classes()


class Plugin:
    """Offers COUNT devices and tells the kubelet when the health of one changes."""

    def __init__(self, folder: Path, count: int) -> None:
        self._folder = folder
        self._count = count
        self._server: Any = None  # ends when nobody holds it

    def options(self, request: Any, context: Any) -> Any:
        """GetDevicePluginOptions."""
        return M["DevicePluginOptions"]()

    def watch(self, request: Any, context: Any) -> Any:
        """ListAndWatch."""
        told: list[bool] | None = None
        while context.is_active():
            health = [not (self._folder.parent / f"unhealthy-{i}").exists() for i in range(self._count)]
            if health != told:
                told = health
                devices = [
                    M["Device"](ID=f"gpu-{i}", health="Healthy" if h else "Unhealthy") for i, h in enumerate(health)
                ]
                yield M["ListAndWatchResponse"](devices=devices)
            time.sleep(0.2)

    def allocate(self, request: Any, context: Any) -> Any:
        """Allocate: a command learns its GPUs as from NVIDIA's plugin."""
        answers = []
        for wanted in request.container_requests:
            env = M["Env"](key="NVIDIA_VISIBLE_DEVICES", value=",".join(wanted.devices_ids))
            answers.append(M["ContainerAllocateResponse"](envs=[env]))
        return M["AllocateResponse"](container_responses=answers)

    def serve(self) -> None:
        """Listens, and registers whenever the kubelet has made its socket anew."""
        (self._folder / SOCKET).unlink(missing_ok=True)
        self._server = grpc.server(futures.ThreadPoolExecutor(8))
        self._server.add_generic_rpc_handlers((self._handlers(),))
        self._server.add_insecure_port(f"unix://{self._folder / SOCKET}")
        self._server.start()
        self.register()

    def _handlers(self) -> Any:
        def unary(function: Any, request: str) -> Any:
            return grpc.unary_unary_rpc_method_handler(function, M[request].FromString, _to_bytes)

        methods = {
            "GetDevicePluginOptions": unary(self.options, "Empty"),
            "Allocate": unary(self.allocate, "AllocateRequest"),
            "ListAndWatch": grpc.unary_stream_rpc_method_handler(self.watch, M["Empty"].FromString, _to_bytes),
        }
        return grpc.method_handlers_generic_handler("v1beta1.DevicePlugin", methods)

    def register(self) -> None:
        """Tells the kubelet of the devices."""
        with grpc.insecure_channel(f"unix://{self._folder / 'kubelet.sock'}") as channel:
            call = channel.unary_unary("/v1beta1.Registration/Register", _to_bytes, M["Empty"].FromString)
            call(M["RegisterRequest"](version="v1beta1", endpoint=SOCKET, resource_name=RESOURCE), timeout=5)


def _to_bytes(message: Any) -> bytes:
    return bytes(message.SerializeToString())


def main(folder: Path, count: int) -> None:
    """Serves for ever; the kubelet empties the folder when it starts, so its socket is watched."""
    plugin = Plugin(folder, count)
    kubelet, served = folder / "kubelet.sock", 0
    while True:
        made = kubelet.stat().st_ctime_ns if kubelet.exists() else 0
        if made and (made != served or not (folder / SOCKET).exists()):
            try:
                plugin.serve()
                served = made
            except grpc.RpcError as error:
                print(f"not registered: {error}", flush=True)
        threading.Event().wait(0.5)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
