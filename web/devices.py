"""The device behind this request, as a sign-in keeps it."""

from flask import request

from pipelines.access.devices import Device, device


def this_device() -> Device:
    """From where the request comes, shortened to its network, and with which program."""
    return device(request.remote_addr, request.headers.get("User-Agent"))
