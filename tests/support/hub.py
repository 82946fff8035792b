"""A small model hub on loopback, for tests: what ``huggingface_hub`` asks of a hub, and nothing else.

    with hub.serve({"owner/name": hub.Repository(files={"config.json": b"{}"})}) as address:
        ...  # HF_ENDPOINT=address

The routes and headers are those that https://huggingface.co/docs/hub/api and the client's source name.
"""

import contextlib
import hashlib
import json
import threading
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
_GATED = (403, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to this repository is restricted."})
_NO_REPOSITORY = (404, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
_NO_REVISION = (404, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id"})
_NO_FILE = (404, {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"})


@dataclass
class Repository:
    """A repository of models: file name -> content, at one commit. A gated one shows its list and refuses its files."""

    files: dict[str, bytes]
    commit: str = COMMIT
    gated: bool = False
    token: str | None = None  # what opens a gated repository
    status: int = 200  # another status is the answer to everything: a hub that is broken, or refuses


@dataclass
class Hub:
    """A running hub: where it listens, and what it was asked for, as ``METHOD /path``."""

    address: str
    requests: list[str] = field(default_factory=list)


def from_directory(directory: Path, **options: object) -> Repository:
    """Make a repository of the files in a directory."""
    files = {path.name: path.read_bytes() for path in sorted(directory.iterdir()) if path.is_file()}
    return Repository(files, **options)


@contextlib.contextmanager
def serve(repositories: dict[str, Repository]) -> Iterator[Hub]:
    """Serve repositories on a free port of loopback until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    hub = Hub(f"http://127.0.0.1:{server.server_port}")
    server.repositories, server.hub = repositories, hub
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def etag(content: bytes) -> str:
    """Return the id that the hub gives a file of this content: git's, for a file kept in git."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, *arguments: object) -> None:
        """Say nothing: the requests are in ``Hub.requests``."""

    def _answer(self, body: bool) -> None:
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        self.server.hub.requests.append(f"{self.command} {path}")
        status, headers, content = self._find(path)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def _find(self, path: str) -> tuple[int, dict[str, str], bytes]:
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "models"] and len(parts) >= 6:
            return self._listing("/".join(parts[2:4]), parts[4], parts[5])
        if len(parts) >= 5 and parts[2] == "resolve":
            return self._file("/".join(parts[:2]), parts[3], "/".join(parts[4:]))
        return (*_NO_FILE, b"")

    def _repository(self, name: str, revision: str) -> Repository | tuple[int, dict[str, str], bytes]:
        repository = self.server.repositories.get(name)
        if repository is None:
            return (*_NO_REPOSITORY, b"")
        if repository.status != 200:
            return repository.status, {}, b""
        if revision not in (repository.commit, "main"):
            return (*_NO_REVISION, b"")
        return repository

    def _listing(self, name: str, kind: str, revision: str) -> tuple[int, dict[str, str], bytes]:
        """Answer /api/models/{id}/revision/{rev} and /api/models/{id}/tree/{rev}."""
        repository = self._repository(name, revision)
        if not isinstance(repository, Repository):
            return repository
        if kind == "revision":
            siblings = [{"rfilename": file} for file in repository.files]
            answer: object = {"_id": "0", "id": name, "modelId": name, "sha": repository.commit, "siblings": siblings}
        elif kind == "tree":
            answer = [
                {"type": "file", "path": file, "size": len(content), "oid": etag(content)}
                for file, content in repository.files.items()
            ]
        else:
            return (*_NO_FILE, b"")
        return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()

    def _file(self, name: str, revision: str, file: str) -> tuple[int, dict[str, str], bytes]:
        """Answer /{id}/resolve/{rev}/{file}."""
        repository = self._repository(name, revision)
        if not isinstance(repository, Repository):
            return repository
        sent = self.headers.get("Authorization")
        if repository.gated and (repository.token is None or sent != f"Bearer {repository.token}"):
            return (*_GATED, b"")
        content = repository.files.get(file)
        if content is None:
            return (*_NO_FILE, b"")
        headers = {"X-Repo-Commit": repository.commit, "ETag": f'"{etag(content)}"', "Accept-Ranges": "bytes"}
        return 200, headers, content
