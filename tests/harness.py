"""Starts the server binary for a test and talks to it: processes, HTTP, initialisation.

Python 3 standard library only.  Every server lives in a temporary directory of its own and listens
on free ports of 127.0.0.1.  When a test fails, the runner prints the logs of its servers.
"""
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

READY_S = 60        # how long a server may take to listen
STOP_S = 30         # how long it may take to end after SIGTERM

binary = None       # path of the program; set by the runner


def free_port():
    """A port of 127.0.0.1 whose successor is free too."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            try:
                two.bind(("127.0.0.1", port + 1))
                return port
            except (OSError, OverflowError):
                continue


def clean_environment(home):
    """The environment without what steers a client or a server."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("VAULT_")}
    env["HOME"] = str(home)
    return env


class Answer:
    """Status, headers and body of an answer; the body as JSON when it is some."""

    def __init__(self, response, raw):
        self.status, self.raw = response.status, raw
        self.headers = {k.lower(): v for k, v in response.getheaders()}
        try:
            self.body = json.loads(raw) if raw else None
        except ValueError:
            self.body = None

    @property
    def data(self):
        return self.body["data"]

    def __repr__(self):
        return f"<{self.status} {self.raw[:300]!r}>"


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.socket_path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.socket_path)


class Server:
    """One server process, its directory, and what is needed to unseal it."""

    def __init__(self, directory, storage="lmdb", data=None, listener=None, extra="", tls=None):
        self.dir = Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.data = Path(data) if data else self.dir / "data"
        self.data.mkdir(exist_ok=True)
        self.port, self.tls = free_port(), tls
        self.config = self.dir / "server.hcl"
        self.log = self.dir / "server.log"
        self.process, self.keys, self.root = None, [], None
        self.environment = {}       # of the process, on top of the usual
        where = "" if storage == "inmem" else f'path = "{self.data}"'
        listen = listener if listener is not None else 'tls_disable = true'
        self.config.write_text(f'storage "{storage}" {{ {where} }}\n'
                               f'listener "tcp" {{\n  address = "127.0.0.1:{self.port}"\n'
                               f'  {listen}\n}}\n'
                               f'api_addr = "{self.address}"\ndisable_mlock = true\n{extra}\n')

    @property
    def address(self):
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    # ---- the process

    def spawn(self, *arguments):
        """Start the process and do not wait for it to listen; arguments instead of -config."""
        with open(self.log, "ab") as log:
            # pylint: disable-next=consider-using-with
            self.process = subprocess.Popen([binary, "server", *(arguments or [f"-config={self.config}"])],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**clean_environment(self.dir),
                                                 **self.environment},
                                            cwd=self.dir, start_new_session=True)
        return self

    def start(self, *arguments):
        """Start the process and wait until it listens."""
        self.spawn(*arguments)
        end = time.monotonic() + READY_S
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}:\n"
                                     f"{self.log_text()[-2000:]}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                time.sleep(0.02)
        raise AssertionError("the server does not listen")

    def wait(self, seconds=STOP_S):
        """Exit status of a process that ends by itself."""
        return self.process.wait(seconds)

    def stop(self):
        """SIGTERM, and the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def restart(self):
        """End in order, start again, unseal."""
        status = self.stop()
        if status != 0:
            raise AssertionError(f"the server ended with {status}")
        return self.start().unseal()

    def running(self):
        return self.process is not None and self.process.poll() is None

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    # ---- HTTP

    def connection(self):
        if self.tls:
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30,
                                               context=self.tls)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def request(self, method, path, body=None, token=None, headers=None, connection=None):
        """One request below /v1/; the root token unless told otherwise ("" for none)."""
        fields = dict(headers or {})
        token = self.root if token is None else token
        if token:
            fields["X-Vault-Token"] = token
        payload = None if body is None else json.dumps(body)
        http_connection = connection or self.connection()
        try:
            http_connection.request(method, "/v1/" + path, payload, fields)
            response = http_connection.getresponse()
            return Answer(response, response.read())
        finally:
            if connection is None:
                http_connection.close()

    def ok(self, method, path, body=None, **more):
        """A request that must succeed."""
        answer = self.request(method, path, body, **more)
        if answer.status not in (200, 204):
            raise AssertionError(f"{method} {path}: {answer}")
        return answer

    def get(self, path, **more):
        return self.ok("GET", path, **more)

    def put(self, path, body=None, **more):
        return self.ok("PUT", path, body, **more)

    # ---- keys

    def init(self, shares=1, threshold=1):
        answer = self.put("sys/init", {"secret_shares": shares, "secret_threshold": threshold},
                          token="")
        self.keys, self.root = answer.body["keys_base64"], answer.body["root_token"]
        self.threshold = threshold
        return self

    def unseal(self):
        for key in self.keys[:self.threshold]:
            answer = self.put("sys/unseal", {"key": key}, token="")
        if answer.body["sealed"]:
            raise AssertionError(f"still sealed: {answer}")
        self.wait_active()
        return self

    def wait_active(self):
        end = time.monotonic() + READY_S
        while self.request("GET", "sys/health", token="").status != 200:
            if time.monotonic() > end:
                raise AssertionError("not active after unsealing")
            time.sleep(0.02)

    def up(self, **keys):
        """Start, initialise and unseal."""
        return self.start().init(**keys).unseal()

    def cli(self, *arguments, token=None, stdin=None):
        """Run the command line against this server."""
        env = clean_environment(self.dir)
        env["VAULT_ADDR"] = self.address
        if token or self.root:
            env["VAULT_TOKEN"] = token or self.root
        return subprocess.run([binary, *arguments], env=env, cwd=self.dir, input=stdin,
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=60, check=False)


class Journey(unittest.TestCase):
    """A test with a directory of its own, whose servers are ended whatever happens."""

    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(prefix="coffer-test-"))
        self.servers = []
        self.addCleanup(self.end)

    def server(self, name="one", **how):
        server = Server(self.dir / name, **how)
        self.servers.append(server)
        return server

    def end(self):
        for server in self.servers:
            if server.running():
                server.kill()
        if self.failed():
            for server in self.servers:
                print(f"---- log of {server.dir.name}, its end:\n{server.log_text()[-3000:]}")
        shutil.rmtree(self.dir, ignore_errors=True)

    def failed(self):
        """Did this very test fail?"""
        result = self._outcome.result
        return any(test is self for test, _ in result.failures + result.errors)
