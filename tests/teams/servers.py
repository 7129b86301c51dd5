"""Real git servers on loopback: smart HTTP through `git http-backend`, and ssh through OpenSSH's own server."""

import base64
import os
import pwd
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from web_pages import QuietHandler, QuietServer, running

SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/sbin")
GITOLITE = shutil.which("gitolite")


class _GitHandler(QuietHandler):
    """Passes each request to `git http-backend`, as its manual page describes."""

    protocol_version = "HTTP/1.0"

    def do_GET(self):
        self._answer(b"")

    def do_POST(self):
        if self.headers.get("Transfer-Encoding", "") == "chunked":
            body = b"".join(self._chunks())
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(body)

    def _chunks(self):
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _answer(self, body):
        path, _, query = self.path.partition("?")
        service = path.rpartition("/")[2] if self.command == "POST" else query.partition("service=")[2]
        self.server.seen.append((self.command, service))
        user = self._user()
        if user is None:
            self.wfile.write(b"HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic realm=git\r\n\r\n")
            return None
        if self.server.cut == (self.command, service, "before"):
            return self._hang_up()
        within = self.server.cut == (self.command, service, "within")
        if within:
            body = body[: len(body) // 2]
        environ = {
            **os.environ,
            "GIT_PROJECT_ROOT": str(self.server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_USER": user,
            "REMOTE_ADDR": "127.0.0.1",
        }
        done = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=environ)
        if self.server.cut == (self.command, service, "after"):
            return self._hang_up()
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        silent = self.server.cut == (self.command, service, "silent")
        if silent:
            head += b"\r\nContent-Length: %d" % len(content)
        if within or silent:
            content = content[: len(content) // 2]
        status = next((line[8:] for line in head.split(b"\r\n") if line.startswith(b"Status: ")), b"200 OK")
        self.wfile.write(b"HTTP/1.0 " + status + b"\r\n" + head + b"\r\n\r\n" + content)
        if silent:
            self.wfile.flush()
            self.server.over.wait()

    def _user(self):
        """The name of the user who sends the request. None if the server requires a login and the request has none."""
        if self.server.passwords is None:
            return "somebody"
        said = self.headers.get("Authorization", "").removeprefix("Basic ")
        name, _, password = base64.b64decode(said).decode().partition(":")
        return name if password and self.server.passwords.get(name) == password else None

    def finish(self):
        super().finish()
        if isinstance(self.connection, ssl.SSLSocket):
            with suppress(OSError):  # the client may already have closed the connection
                self.connection.unwrap()

    def _hang_up(self):
        self.connection.shutdown(socket.SHUT_RDWR)


# The requests that git sends in a fetch and in a push over HTTP: their method and service.
REQUESTS = [(method, f"git-{service}-pack") for service in ("upload", "receive") for method in ("GET", "POST")]


def make_certificate(folder):
    """Write a certificate for loopback and its key to a file in *folder*, and return the file."""
    file, address = folder / "server.pem", "subjectAltName=IP:127.0.0.1"
    options = ["-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1", "-addext", address]
    command = ["openssl", "req", "-x509", *options, "-keyout", file, "-out", folder / "certificate.pem"]
    subprocess.run(command, check=True, capture_output=True)
    with file.open("ab") as key:
        key.write((folder / "certificate.pem").read_bytes())
    return file


@contextmanager
def http_server(root, passwords=None, certificate=None):
    """Serve the repositories in the folder *root* over HTTP, or over TLS if there is a *certificate* file with a key.

    Yields the server: *url* is its address, *seen* are the requests that it received, and *cut* names a request and the
    point at which the server cuts its connection. If there are *passwords* (by the name of the person), only these
    people have access, and hooks get the name of the person as `REMOTE_USER`.
    """
    server = QuietServer(_GitHandler)
    server.root, server.seen, server.cut, server.over = root, [], None, threading.Event()
    server.passwords = passwords
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.url = server.url.replace("http:", "https:")
    with running(server):
        try:
            yield server
        finally:
            server.over.set()


@contextmanager
def ssh_server(folder):
    """Run sshd on a free port. Yields the beginning of its URLs, and the `GIT_SSH_COMMAND` by which git logs in."""
    with _sshd(folder, ["user"]) as (url, commands):
        (folder / "authorized").write_bytes((folder / "user.pub").read_bytes())
        with _shared_connection(commands["user"], url) as command:
            yield url, command


@contextmanager
def gitolite_server(folder, users, rules):
    """Run gitolite behind sshd, with *rules* (the text of `conf/gitolite.conf`) and a key for each of *users*.

    Yields the beginning of its URLs, and for each user the `GIT_SSH_COMMAND` with which git logs in as this user.
    """
    with _sshd(folder, users) as (url, commands):
        home = folder / "home"
        home.mkdir()
        environ = {**os.environ, "HOME": str(home), "USER": "git"}
        keys = home / ".gitolite" / "keydir"

        def gitolite(*arguments):
            subprocess.run([GITOLITE, *arguments], env=environ, capture_output=True, check=True)

        gitolite("setup", "-a", users[0])
        keys.mkdir(parents=True, exist_ok=True)
        for user in users:
            shutil.copy(folder / f"{user}.pub", keys)
        (home / ".gitolite" / "conf" / "gitolite.conf").write_text(rules, encoding="utf-8")
        gitolite("compile")
        gitolite("trigger", "POST_COMPILE")
        authorized = (home / ".ssh" / "authorized_keys").read_text(encoding="utf-8")
        # sshd sets HOME to the home of the account, but gitolite needs its own home.
        (folder / "authorized").write_text(authorized.replace('command="', f'command="env HOME={home} '), "utf-8")
        with ExitStack() as shared:
            yield url, {user: shared.enter_context(_shared_connection(commands[user], url)) for user in users}


@contextmanager
def _sshd(folder, users):
    """Run sshd on a free port, with a key for each of *users*. The caller writes the file of authorized keys.

    Yields the beginning of its URLs, and the ssh command of each user.
    """
    folder.mkdir()
    folder.chmod(0o700)
    for key in ("host", *users):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = f"""\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
PidFile {folder}/pid
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin yes
AcceptEnv GIT_PROTOCOL
"""
    (folder / "config").write_text(config, encoding="utf-8")
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(folder / "config")], stderr=log)
    try:
        _wait_for(port, process, folder / "log")
        commands = {
            user: f"ssh -F none -p {port} -i {folder}/{user} -o IdentitiesOnly=yes -o IdentityAgent=none "
            f"-o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile={folder}/known -o LogLevel=ERROR"
            for user in users
        }
        yield f"ssh://{pwd.getpwuid(os.geteuid()).pw_name}@127.0.0.1:{port}", commands
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _shared_connection(command, url):
    """Open a connection to *url* by the ssh *command*. Yields an ssh command that uses this connection.

    Tests share the connection, because each handshake takes long on a busy machine.
    """
    # not in the folder of the test, because the path of a Unix socket must be short
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ssh"
        nothing = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        place = url.removeprefix("ssh://").partition(":")[0]
        master = subprocess.Popen([*command.split(), "-M", "-N", "-S", str(path), place], **nothing)
        ends = time.monotonic() + 20
        while not path.exists() and master.poll() is None and time.monotonic() < ends:
            time.sleep(0.02)
        try:
            yield f"{command} -S {path}"
        finally:
            master.terminate()
            master.wait()


def _wait_for(port, process, log):
    ends = time.monotonic() + 20
    while time.monotonic() < ends:
        if process.poll() is not None:
            break
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"sshd does not listen: {log.read_text(errors='replace')}")
