#!/usr/bin/env python3
"""Measures a whole server: CPU per request, memory, disk, start-up.  See bench/README.md."""
import argparse
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

TICK_US = 1_000_000 // os.sysconf("SC_CLK_TCK")
SECRET = {
    "username": "app", "password": "0123456789abcdef0123456789abcdef",
    "host": "db.example.internal", "port": "5432",
    "note": "some text that makes the body about three hundred bytes long, as a usual secret is "
            "in practice, with a few words more to get there at last",
}
POLICY = "\n".join('path "%s/*" { capabilities = ["create", "read", "update", "list"] }' % m
                   for m in ("kv1", "kv2", "transit"))
WRITE_LUA = """
local n = 0
request = function()
  n = n + 1
  return wrk.format("POST", "/v1/kv2/data/w" .. (n %% 20000), nil, '%s')
end
"""
POST_LUA = """
wrk.method = "POST"
wrk.body = '%s'
"""


class Server:
    """One server under test, alone on its CPU, with its data in a directory of its own."""

    def __init__(self, options, storage, tls=False):
        self.options, self.tls = options, tls
        self.dir = tempfile.mkdtemp(prefix="bench-")
        self.data = os.path.join(self.dir, "data")
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.process = subprocess.Popen(
            ["taskset", "-c", options.server_cpu, options.binary, "server", "-config",
             self.write_config(storage)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: self.call("GET", "sys/health")[0] > 0)
        self.token = None
        self.unseal()

    def write_config(self, storage):
        listener = "tls_disable = true"
        if self.tls:
            cert, key = self.path("cert.pem"), self.path("key.pem")
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                            "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert,
                            "-days", "2", "-subj", "/CN=localhost"], check=True,
                           stderr=subprocess.DEVNULL)
            listener = 'tls_cert_file = "%s"\n  tls_key_file = "%s"\n' \
                       '  tls_min_version = "tls13"' % (cert, key)
        store = 'path = "%s"' % self.data if storage != "inmem" else ""
        with open(self.path("config.hcl"), "w", encoding="ascii") as f:
            f.write('storage "%s" { %s }\nlistener "tcp" {\n  address = "127.0.0.1:%d"\n  %s\n}\n'
                    "disable_mlock = true\n" % (storage, store, self.port, listener))
        return f.name

    def path(self, name):
        return os.path.join(self.dir, name)

    def connect(self):
        if not self.tls:
            return http.client.HTTPConnection("127.0.0.1", self.port)
        return http.client.HTTPSConnection("127.0.0.1", self.port,
                                           context=ssl._create_unverified_context())

    def call(self, method, path, body=None, connection=None):
        c = connection or self.connect()
        token = getattr(self, "token", None)
        c.request(method, "/v1/" + path, json.dumps(body) if body is not None else None,
                  {"X-Vault-Token": token} if token else {})
        answer = c.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None

    def need(self, method, path, body=None):
        status, answer = self.call(method, path, body)
        if status >= 300:
            sys.exit("%s %s: %d %s" % (method, path, status, answer))
        return answer

    def unseal(self):
        init = self.need("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
        self.need("PUT", "sys/unseal", {"key": init["keys"][0]})
        self.token = init["root_token"]

    def prepare(self):
        """The mounts, a secret in each, and a token with a usual policy in place of root's."""
        for path, body in (("kv1", {"type": "kv", "options": {"version": "1"}}),
                           ("kv2", {"type": "kv", "options": {"version": "2"}}),
                           ("transit", {"type": "transit"})):
            self.need("POST", "sys/mounts/" + path, body)
        self.need("PUT", "sys/policy/app", {"policy": POLICY})
        made = self.need("POST", "auth/token/create", {"policies": ["app"], "ttl": "10h"})
        self.need("POST", "transit/keys/k", {})
        self.token = made["auth"]["client_token"]
        self.need("POST", "kv1/a", SECRET)
        self.need("POST", "kv2/data/a", {"data": SECRET})

    def cpu_us(self):
        with open("/proc/%d/stat" % self.process.pid, encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * TICK_US

    def memory_kb(self, field="VmRSS"):
        with open("/proc/%d/status" % self.process.pid, encoding="ascii") as f:
            return int(re.search(field + r":\s+(\d+)", f.read()).group(1))

    def load(self, path, connections, script=None):
        """CPU of the server per request in us, and requests per second."""
        url = "%s://127.0.0.1:%d/v1/%s" % ("https" if self.tls else "http", self.port, path)
        command = ["taskset", "-c", self.options.client_cpu, "wrk", "-t1", "-c%d" % connections,
                   "-d%ds" % self.options.seconds, "-H", "X-Vault-Token: " + self.token]
        if script:
            with open(self.path("script.lua"), "w", encoding="ascii") as f:
                f.write(script)
            command += ["-s", f.name]
        before = self.cpu_us()
        out = subprocess.run(command + [url], check=True, capture_output=True, text=True).stdout
        used = self.cpu_us() - before
        if "Non-2xx" in out:
            sys.exit("%s: not all answers were good\n%s" % (path, out))
        count = int(re.search(r"(\d+) requests in", out).group(1))
        return used / count, float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))

    def fill(self, count, path, body, connections):
        """Write ${path} with 0 .. count-1 over several connections."""
        def some(first):
            with contextlib.closing(self.connect()) as c:
                for i in range(first, count, connections):
                    status, answer = self.call("POST", path % i, body, c)
                    if status >= 300:
                        raise RuntimeError("%d %s" % (status, answer))
        threads = [threading.Thread(target=some, args=(i,)) for i in range(connections)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        shutil.rmtree(self.dir)


def wait_for(done):
    """Ask without a pause until ${done} answers; how many seconds that took."""
    start = time.monotonic()
    while time.monotonic() - start < 20:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if done():
                return time.monotonic() - start
    sys.exit("the server does not answer")


def disk_mb(path):
    """What du counts: blocks, not lengths."""
    return sum(os.stat(os.path.join(where, name)).st_blocks * 512
               for where, _, names in os.walk(path) for name in names) / 1e6


def best(what, times=9):
    return min(what() for _ in range(times))


def dev_start_ms(options):
    """From fork to the first 200."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as home:
        p = subprocess.Popen([options.binary, "server", "-dev", "-dev-no-store-token",
                              "-dev-listen-address=127.0.0.1:%d" % port],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             env={**os.environ, "HOME": home})

        def healthy():
            with contextlib.closing(socket.create_connection(("127.0.0.1", port))) as c:
                c.sendall(b"GET /v1/sys/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                return c.recv(64).startswith(b"HTTP/1.1 200")
        wait_for(healthy)
        took = (time.monotonic() - start) * 1000
        p.terminate()
        p.wait()
    return took


def command_ms(server):
    env = {**os.environ, "VAULT_ADDR": "http://127.0.0.1:%d" % server.port,
           "VAULT_TOKEN": server.token}
    start = time.monotonic()
    subprocess.run([server.options.binary, "kv", "get", "kv1/a"], check=True, env=env,
                   stdout=subprocess.DEVNULL)
    return (time.monotonic() - start) * 1000


def idle_connections_kb(server, count):
    """Memory of the server per idle connection, each of which has had one answer."""
    before = server.memory_kb()
    plain = b"GET /v1/sys/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    context = ssl._create_unverified_context() if server.tls else None
    held = []
    for _ in range(count):
        c = socket.create_connection(("127.0.0.1", server.port))
        if context:
            c = context.wrap_socket(c)
        c.sendall(plain)
        c.recv(4096)
        held.append(c)
    grown = server.memory_kb() - before
    for c in held:
        c.close()
    return grown / count


class Table:
    def __init__(self):
        print("| What | Bar | Aim | Measured | |\n|---|--:|--:|--:|---|")

    def row(self, what, bar, aim, value, unit, more=""):
        verdict = "aim" if value <= aim else "bar" if value <= bar else "**missed**"
        print("| %s | %g | %g | %.3g %s | %s%s |" %
              (what, bar, aim, value, unit, verdict, ", " + more if more else ""), flush=True)

    def rate(self, what, bar, aim, measured):
        self.row(what, bar, aim, measured[0], "us CPU", "%d/s" % measured[1])


def on_inmem(options, table):
    with Server(options, "inmem") as s:
        table.row("Resident memory, idle", 15, 8, s.memory_kb() / 1024, "MB", "inmem, unsealed")
        s.prepare()
        table.rate("KV v1 read", 40, 15, s.load("kv1/a", 64))
        table.rate("KV v2 read", 50, 18, s.load("kv2/data/a", 64))
        table.rate("Token lookup-self", 50, 20, s.load("auth/token/lookup-self", 64))
        text = json.dumps({"plaintext": "dGhlIHF1aWNrIGJyb3duIGZveCBqdW1wcyBvdmVy"})
        table.rate("Transit encrypt", 50, 20, s.load("transit/encrypt/k", 64, POST_LUA % text))
        write = WRITE_LUA % json.dumps({"data": SECRET})
        table.rate("KV v2 write, inmem", 100, 35, s.load("kv2/data/w", 128, write))
        s.fill(10000, "kv1/list/k%05d", {"a": "b"}, 4)
        table.rate("List of 10,000 keys, inmem", 700, 200, s.load("kv1/list?list=true", 8))
        table.row("One command (kv get)", 10, 3, best(lambda: command_ms(s)), "ms", "best of 9")
    with Server(options, "inmem") as s:  # a fresh one: memory freed earlier would be used again
        each = idle_connections_kb(s, options.connections)
        table.row("10,000 idle connections", 100, 100, each * 10000 / 1024, "MB",
                  "%.2f KB each, plain" % each)


def on_lmdb(options, table):
    with Server(options, "lmdb") as s:
        s.prepare()
        write = WRITE_LUA % json.dumps({"data": SECRET})
        table.rate("KV v2 write, LMDB, durable", 200, 75, s.load("kv2/data/w", 128, write))
        s.fill(10000, "kv1/list/k%05d", {"a": "b"}, 64)
        table.rate("List of 10,000 keys, LMDB", 700, 200, s.load("kv1/list?list=true", 8))
    with Server(options, "lmdb") as s:
        s.prepare()
        s.fill(options.secrets, "kv2/data/app/s%06d", {"data": SECRET}, 64)
        share = 100000 / options.secrets
        what = "%d secrets" % options.secrets
        table.row("Resident memory, " + what, 40, 20, s.memory_kb() / 1024, "MB",
                  "%.1f anonymous" % (s.memory_kb("RssAnon") / 1024))
        table.row("Disk for 100,000 secrets", 100, 50, disk_mb(s.data) * share, "MB",
                  "from " + what)


def on_tls(options, table):
    with Server(options, "inmem", tls=True) as s:
        s.prepare()
        table.rate("KV v1 read, TLS 1.3", 50, 20, s.load("kv1/a", 64))
    with Server(options, "inmem", tls=True) as s:
        each = idle_connections_kb(s, options.connections)
        table.row("10,000 idle TLS connections", 100, 100, each * 10000 / 1024, "MB",
                  "%.2f KB each" % each)


def on_binary(options, table):
    table.row("Start of -dev to the first 200", 30, 10, best(lambda: dev_start_ms(options)), "ms",
              "best of 9")
    table.row("Binary", 8, 4, os.stat(options.binary).st_size / 1e6, "MB")


PARTS = {"inmem": on_inmem, "tls": on_tls, "binary": on_binary, "lmdb": on_lmdb}


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("binary", type=os.path.abspath)
    p.add_argument("--seconds", type=int, default=4, help="length of each load")
    p.add_argument("--secrets", type=int, default=100000)
    p.add_argument("--connections", type=int, default=2000, help="idle ones held")
    p.add_argument("--server-cpu", default="0")
    p.add_argument("--client-cpu", default="1")
    p.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    options = p.parse_args()
    table = Table()
    for name in options.only:
        PARTS[name](options, table)


if __name__ == "__main__":
    main()
