"""dicom-ai-router: what it does with a study that has arrived, from its inbox to the objects that it would send.

Its own ``process_study``, with a model that answers at once. The images go to that model over HTTP, as its design has it; the
model's process is not counted. Sending to the PACS is left out.

``python -m benchmark.peers.router FOLDER WORKDIR STUDY_UID MODEL_PORT``
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmark.peers.worker import serve

SALT = "a salt of the benchmark, of no secret"
ANSWER = {
    "model": "bench", "model_version": "1", "result": "positive", "processing_ms": 0, "summary_lines": [["Volume", "20 mL"]],
    "display_window": [40, 80], "overlays": [{"cx": 200, "cy": 260, "r": 40, "label": "20 mL"}],
}  # fmt: skip


def prepare() -> Callable[[], None]:
    inbox, workdir, study_uid, model_port = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    from airouter import pipeline
    from airouter.audit import Audit
    from airouter.config import Config, EndpointCfg, PacsCfg, Rule
    from airouter.store import Store

    config: Any = Config(
        ae_title="ROUTER", port=0, study_quiet_seconds=0, workers=1, workdir=workdir,
        pacs=PacsCfg(ae_title="PACS", host="127.0.0.1", port=0),
        endpoints={"bench": EndpointCfg(url=f"http://127.0.0.1:{model_port}/infer")},
        rules=[Rule(name="ct", model="bench", match={"Modality": "^CT$"}, series="largest")], deid_salt=SALT,
    )  # fmt: skip
    for folder in (config.inbox, config.results_dir):
        folder.mkdir(parents=True, exist_ok=True)
    (config.inbox / study_uid).symlink_to(inbox)
    store: Any = Store(config.db_path)
    audit: Any = Audit(config.audit_path)
    made: list[Any] = []

    def kept(objects: list[Any], *_: object, **__: object) -> int:
        made[:] = objects
        return len(objects)

    pipeline.sender.c_store = kept

    def work() -> None:
        state = pipeline.process_study(study_uid, config, store, audit)
        if state != "DONE" or len(made) != 2:
            raise AssertionError(f"the study ended as {state} with {len(made)} objects")

    return work


class Model(BaseHTTPRequestHandler):
    """Takes the images and answers at once."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps(ANSWER).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Not a word."""


def serve_model(port: int) -> None:
    """Until the process is ended."""
    ThreadingHTTPServer(("127.0.0.1", port), Model).serve_forever()


if __name__ == "__main__":
    serve(prepare)
