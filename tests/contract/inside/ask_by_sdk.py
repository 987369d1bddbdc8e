"""The contract, asked from inside Orthanc. The answers are served at /contract."""

import json
import sys
import threading

import orthanc

FOLDERS = json.loads(orthanc.GetConfiguration())["Contract"]
sys.path[:0] = FOLDERS["path"]
answers = {}


def ask_all():
    from pathlib import Path

    from gateway_contract import ask

    from vigil.host.rest_gateway import RestGateway
    from vigil.host.sdk_transport import SdkTransport

    gateway = RestGateway(SdkTransport(orthanc, threading.Event()))
    images = [Path(name).read_bytes() for name in FOLDERS["images"]]
    try:
        answers.update(ask(gateway, *images))
    except BaseException as error:
        answers["broke"] = repr(error)
        raise


def on_change(change, level, resource):
    if change == orthanc.ChangeType.ORTHANC_STARTED:
        threading.Thread(target=ask_all).start()


def serve(output, uri, **request):
    output.AnswerBuffer(json.dumps(answers), "application/json")


orthanc.RegisterOnChangeCallback(on_change)
orthanc.RegisterRestCallback("/contract", serve)
