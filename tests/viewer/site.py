"""A web server for the viewer: its files, its configuration, and Orthanc's DICOMweb below the same address.

Orthanc sends no CORS headers, so a viewer must come from the same origin as the images; what a hospital's reverse proxy
does, this does for a test.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

DICOMWEB = "/dicom-web"
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "server", "date"}
# WebAssembly with threads needs a page that is isolated from others.
ISOLATION = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}

CONFIGURATION = {
    "routerBasename": None,
    "extensions": [],
    "modes": [],
    "showStudyList": True,
    "maxNumberOfWebWorkers": 2,
    "showCPUFallbackMessage": False,
    "showLoadingIndicator": True,
    "strictZSpacingForVolumeViewport": True,
    "showErrorDetails": "always",
    "investigationalUseDialog": {"option": "never"},
    "disableConfirmationPrompts": True,
    "studyPrefetcher": {"enabled": False},
    "defaultDataSourceName": "dicomweb",
    "dataSources": [
        {
            "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
            "sourceName": "dicomweb",
            "configuration": {
                "friendlyName": "Orthanc",
                "name": "Orthanc",
                "wadoUriRoot": DICOMWEB,
                "qidoRoot": DICOMWEB,
                "wadoRoot": DICOMWEB,
                "qidoSupportsIncludeField": False,
                "supportsReject": False,
                "imageRendering": "wadors",
                "thumbnailRendering": "wadors",
                "enableStudyLazyLoad": True,
                "supportsFuzzyMatching": False,
                "supportsWildcard": True,
                "omitQuotationForMultipartRequest": True,
                "bulkDataURI": {"enabled": True, "relativeResolution": "studies"},
            },
        }
    ],
}


@contextmanager
def serve_viewer(viewer: Path, orthanc_port: int) -> Iterator[str]:
    """The address of the viewer, for as long as the block runs.

    ``viewer``: the folder with the viewer's index.html; ``orthanc_port``: Orthanc's HTTP port on this machine.
    """

    class Site(SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        extensions_map = SimpleHTTPRequestHandler.extensions_map | {".wasm": "application/wasm", ".js": "text/javascript"}

        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, directory=str(viewer), **kwargs)  # type: ignore[arg-type]

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path.startswith(f"{DICOMWEB}/"):
                self._pass_on()
            elif path == "/app-config.js":
                self._answer(f"window.config = {json.dumps(CONFIGURATION)};".encode(), "text/javascript")
            elif not (viewer / path.lstrip("/")).is_file():
                # The viewer's own addresses, such as /viewer?StudyInstanceUIDs=..., are pages of one application.
                self._answer((viewer / "index.html").read_bytes(), "text/html")
            else:
                super().do_GET()

        def _answer(self, content: bytes, kind: str) -> None:
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _pass_on(self) -> None:
            connection = http.client.HTTPConnection("127.0.0.1", orthanc_port, timeout=60)
            host = self.headers["Host"]
            asked = {"Host": host, "Forwarded": f"host={host};proto=http", "Accept": self.headers.get("Accept", "*/*")}
            try:
                connection.request("GET", self.path, headers=asked)
                answer = connection.getresponse()
                content = answer.read()
            finally:
                connection.close()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in HOP_BY_HOP | {"content-length"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def end_headers(self) -> None:
            for name, value in ISOLATION.items():
                self.send_header(name, value)
            super().end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing: the browser reports what failed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="viewer", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
