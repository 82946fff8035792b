"""A hub of data sets on the loopback interface: as much of the Hugging Face Hub's protocol as ``datasets`` uses."""

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@dataclass
class Repository:
    """A data set's repository with one commit; ``gated`` refuses its files, as the hub does without a log-in."""

    files: Mapping[str, bytes]
    commit: str = "1" * 40
    names: tuple[str, ...] = ("main",)
    gated: bool = False


@dataclass
class Hub:
    """A running hub: its address, its repositories, and the requests that it got."""

    endpoint: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)


class _Refusal(Exception):
    """An answer that is an error: status and the hub's error code."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        url = urlsplit(self.path)
        self.hub.requests.append(f"{self.command} {url.path}")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            parts = unquote(url.path).strip("/").split("/")
            if parts[:2] == ["api", "datasets"]:
                self._api("/".join(parts[2:4]), parts[4:], body)
            elif parts[0] == "datasets" and parts[3] == "resolve":
                self._file("/".join(parts[1:3]), parts[4], "/".join(parts[5:]))
            else:
                raise _Refusal(404, "EntryNotFound")
        except _Refusal as refusal:
            status, code = refusal.args
            self._send(status, b"{}", {"X-Error-Code": code, "X-Error-Message": code})

    def _repository(self, name: str, revision: str) -> Repository:
        repository = self.hub.repositories.get(name)
        if repository is None:
            raise _Refusal(401, "RepoNotFound")
        if revision not in (repository.commit, *repository.names):
            raise _Refusal(404, "RevisionNotFound")
        return repository

    def _api(self, name: str, rest: list[str], body: bytes) -> None:
        verb, revision = (rest[0], rest[1]) if len(rest) > 1 else ("revision", "main")
        repository = self._repository(name, revision)
        if verb == "revision":
            siblings = [{"rfilename": each} for each in repository.files]
            info = {
                "_id": "0",
                "id": name,
                "sha": repository.commit,
                "siblings": siblings,
                "tags": [],
                "private": False,
            }
            self._json(info | {"downloads": 0, "likes": 0, "gated": "auto" if repository.gated else False})
        elif verb == "tree":
            folder = "/".join(rest[2:])
            self._json([_entry(path, data) for path, data in repository.files.items() if path.startswith(folder)])
        elif verb == "paths-info":
            wanted = json.loads(body)["paths"] if body.startswith(b"{") else []
            self._json([_entry(path, repository.files[path]) for path in wanted if path in repository.files])
        else:
            raise _Refusal(404, "EntryNotFound")

    def _file(self, name: str, revision: str, path: str) -> None:
        repository = self._repository(name, revision)
        if repository.gated:
            raise _Refusal(401, "GatedRepo")
        data = repository.files.get(path)
        if data is None:
            raise _Refusal(404, "EntryNotFound")
        etag = hashlib.sha256(data).hexdigest()
        self._send(200, data, {"X-Repo-Commit": repository.commit, "ETag": f'"{etag}"', "Accept-Ranges": "bytes"})

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, data: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _entry(path: str, data: bytes) -> dict[str, object]:
    return {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}


@contextlib.contextmanager
def serve(repositories: Mapping[str, Repository]) -> Iterator[Hub]:
    """Run a hub with these repositories for as long as the context lasts."""
    hub = Hub(repositories=dict(repositories))
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
