#!/usr/bin/env python3
"""Measures clusters with integrated storage: rates, fail-over, joining, restart, disk, snapshots.

Three nodes on 127.0.0.2 to 127.0.0.4 and clients share the machine.  See bench/README.md.
"""
import argparse
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from server import POLICY, SECRET, disk_mb

WAIT_S = 60
# Writes ${count} different secrets, then says so; wrk itself would stay until its time is over.
FILL_LUA = """
local n = 0
request = function()
  n = n + 1
  if n == %d then io.stderr:write("done\\n") end
  return wrk.format("POST", string.format("/v1/kv2/data/app/s%%07d", n), nil, '%s')
end
"""
WRITE_LUA = """
local n = 0
request = function()
  n = n + 1
  return wrk.format("POST", "/v1/kv2/data/w" .. (n %% 20000), nil, '%s')
end
"""


def until(what, done):
    """Ask without a pause until ${done} answers; how many seconds that took."""
    start = time.monotonic()
    while time.monotonic() - start < WAIT_S:
        with contextlib.suppress(OSError, http.client.HTTPException, KeyError, TypeError):
            if done():
                return time.monotonic() - start
    sys.exit("%s: not within %d s" % (what, WAIT_S))


class Node:
    """One server process with storage raft."""

    def __init__(self, cluster, number):
        self.cluster, self.number = cluster, number
        self.name, self.ip = "n%d" % number, "127.0.0.%d" % (number + 1)
        self.dir = os.path.join(cluster.dir, self.name)
        self.data = os.path.join(self.dir, "data")
        self.process = None
        os.makedirs(self.data)
        with open(os.path.join(self.dir, "config.hcl"), "w", encoding="ascii") as f:
            f.write('storage "raft" {\n  path = "%s"\n  node_id = "%s"\n}\n'
                    'listener "tcp" {\n  address = "%s:%d"\n  tls_disable = true\n}\n'
                    'api_addr = "http://%s:%d"\ncluster_addr = "https://%s:%d"\n'
                    "disable_mlock = true\n"
                    % (self.data, self.name, self.ip, cluster.port, self.ip, cluster.port, self.ip,
                       cluster.port + 1))

    def start(self, cpu=None):
        command = [self.cluster.options.binary, "server", "-config",
                   os.path.join(self.dir, "config.hcl")]
        if cpu is not None:
            command = ["taskset", "-c", cpu] + command
        with open(os.path.join(self.dir, "log"), "ab") as log:
            # pylint: disable-next=consider-using-with
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        until(self.name + " listens", lambda: self.call("GET", "sys/seal-status")[0] == 200)
        return self

    def call(self, method, path, body=None, timeout=30):
        with contextlib.closing(http.client.HTTPConnection(self.ip, self.cluster.port,
                                                           timeout=timeout)) as c:
            c.request(method, "/v1/" + path, json.dumps(body) if body is not None else None,
                      {"X-Vault-Token": self.cluster.token} if self.cluster.token else {})
            answer = c.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else None

    def need(self, method, path, body=None):
        status, answer = self.call(method, path, body)
        if status >= 300:
            sys.exit("%s %s at %s: %d %s" % (method, path, self.name, status, answer))
        return answer

    def unseal(self):
        self.call("PUT", "sys/unseal", {"key": self.cluster.key})

    def health(self):
        return self.call("GET", "sys/health")[0]

    def active(self):
        return self.call("GET", "sys/leader", timeout=2)[1].get("is_self")

    def stop(self, how=signal.SIGTERM):
        if self.process:
            self.process.send_signal(how)
            self.process.wait()
            self.process = None

    def memory_kb(self, field):
        with open("/proc/%d/status" % self.process.pid, encoding="ascii") as f:
            return int(re.search(field + r":\s+(\d+)", f.read()).group(1))


class Cluster:
    """Nodes n1 .. and the keys of their cluster."""

    def __init__(self, options, count, cpu=None):
        self.options, self.token, self.key = options, None, None
        self.dir = tempfile.mkdtemp(prefix="bench-", dir=options.dir)
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = min(s.getsockname()[1], 65000)
        self.nodes = [Node(self, 1).start(cpu)]
        first = self.nodes[0]
        init = first.need("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
        self.key, self.token = init["keys"][0], init["root_token"]
        first.unseal()
        until("n1 is active", lambda: first.health() == 200)
        self.joined_s = [self.join() for _ in range(count - 1)]
        for path, version in (("kv1", "1"), ("kv2", "2")):
            first.need("POST", "sys/mounts/" + path,
                       {"type": "kv", "options": {"version": version}})
        first.need("PUT", "sys/policy/app", {"policy": POLICY})
        made = first.need("POST", "auth/token/create", {"policies": ["app"], "ttl": "10h"})
        self.app = made["auth"]["client_token"]
        first.need("POST", "kv1/a", SECRET)

    def join(self):
        """Add an empty node that listens already; seconds until it is a voter."""
        node, first = Node(self, len(self.nodes) + 1).start(), self.nodes[0]
        self.nodes.append(node)
        start = time.monotonic()
        node.need("POST", "sys/storage/raft/join",
                  {"leader_api_addr": "http://%s:%d" % (first.ip, self.port)})
        node.unseal()
        until(node.name + " is a voter", lambda: self.members()[node.name]["voter"])
        return time.monotonic() - start

    def members(self):
        answer = self.nodes[0].call("GET", "sys/storage/raft/configuration")[1]
        return {row["node_id"]: row for row in answer["data"]["config"]["servers"]}

    def leader(self):
        found = []

        def look():
            for node in self.nodes:
                with contextlib.suppress(OSError, http.client.HTTPException):
                    if node.process and node.active():
                        found.append(node)
                        return True
            return False
        until("a leader", look)
        return found[-1]

    def wrk_command(self, node, path, connections, script, seconds):
        command = ["wrk", "-t1", "-c%d" % connections, "-d%ds" % seconds, "--timeout", "30s",
                   "-H", "X-Vault-Token: " + self.app]
        if script:
            with open(os.path.join(self.dir, "script.lua"), "w", encoding="ascii") as f:
                f.write(script)
            command += ["-s", f.name]
        return command + ["http://%s:%d/v1/%s" % (node.ip, self.port, path)]

    def wrk(self, node, path, connections, script=None, cpu=None):
        """What wrk prints after a load on one node."""
        command = self.wrk_command(node, path, connections, script, self.options.seconds)
        if cpu is not None:
            command = ["taskset", "-c", cpu] + command
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        if "Non-2xx" in out:
            sys.exit("%s: not all answers were good\n%s" % (path, out))
        return out

    def rate(self, *load, **how):
        return float(re.search(r"Requests/sec:\s+([\d.]+)", self.wrk(*load, **how)).group(1))

    def fill(self, count):
        """At least ${count} secrets of kv v2 through the first node."""
        command = self.wrk_command(self.nodes[0], "kv2/data/app/x", 128,
                                   FILL_LUA % (count, json.dumps({"data": SECRET})), 3600)
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as wrk:
            wrk.stderr.readline()
            time.sleep(0.5)     # for those on their way
            wrk.kill()
        last = self.nodes[0].call("GET", "kv2/data/app/s%07d" % (count - 200))
        if last[0] != 200:
            sys.exit("filling: %d %s" % last)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for node in self.nodes:
            node.stop(signal.SIGKILL)
        shutil.rmtree(self.dir)


class Table:
    def __init__(self):
        print("| What | Vault 1.8 | Bar | Aim | Measured | |\n|---|--:|--:|--:|--:|---|")

    def row(self, what, vault, limits, value, unit, more="", larger=False):
        """${limits} are bar and aim; ${larger}: more is better."""
        bar, aim = limits

        def met(limit):
            return value >= limit if larger else value <= limit
        verdict = "aim" if met(aim) else "bar" if met(bar) else "**missed**"
        print("| %s | %s | %s | %s | %s %s | %s%s |" % (
            what, vault, "{:,g}".format(bar), "{:,g}".format(aim), "{:,.4g}".format(value), unit,
            verdict, ", " + more if more else ""), flush=True)

    def rate(self, what, vault, limits, value, more=""):
        self.row(what, vault, limits, round(value), "/s", more, larger=True)


def spread(values, unit):
    return "median of %d, %.3g to %.3g %s" % (len(values), min(values), max(values), unit)


def on_one(options, table):
    with Cluster(options, 1, options.server_cpu) as c:
        write = WRITE_LUA % json.dumps({"data": SECRET})
        table.rate("KV v2 writes, one raft node, 128 connections, durable", "320", (5000, 15000),
                   c.rate(c.nodes[0], "kv2/data/w", 128, write, cpu=options.client_cpu))


def on_three(options, table):
    with Cluster(options, 3) as c:
        write = WRITE_LUA % json.dumps({"data": SECRET})
        leader = c.leader()
        table.rate("KV v2 writes at the leader of three", "570", (3000, 10000),
                   c.rate(leader, "kv2/data/w", 128, write))
        standby = next(n for n in c.nodes if n is not leader)
        code = standby.health()
        table.rate("KV v1 reads at a standby", "1,250", (15000, 50000),
                   c.rate(standby, "kv1/a", 64), "its health is %d" % code)


def one_kill(c):
    """Seconds from kill -9 of the leader to the next write that a survivor accepts."""
    leader = c.leader()
    survivor = next(n for n in c.nodes if n is not leader)
    leader.stop(signal.SIGKILL)
    start = time.monotonic()
    until("a write", lambda: survivor.call("PUT", "kv1/after", SECRET, timeout=10)[0] == 204)
    took = time.monotonic() - start
    leader.start().unseal()
    until("it is back", lambda: leader.health() in (200, 429, 473))
    until("all are healthy", lambda: survivor.call(
        "GET", "sys/storage/raft/autopilot/state")[1]["data"]["failure_tolerance"] == 1)
    return took


def on_kill(options, table):
    with Cluster(options, 3) as c:
        took = [one_kill(c) for _ in range(options.kills)]
        table.row("kill -9 of the leader to the next write accepted", "15.5", (2, 0.8),
                  statistics.median(took), "s", spread(took, "s"))


def on_join(options, table):
    took = []
    for _ in range(3):
        with Cluster(options, 3) as c:
            took += c.joined_s
    table.row("A joining node becomes voter", "8", (2, 0.5), statistics.median(took), "s",
              spread(took, "s"))


def restart_s(node):
    """From the start of the process to active, unsealed as soon as it listens."""
    node.stop()
    start = time.monotonic()
    node.start().unseal()
    until("active", lambda: node.health() == 200)
    return time.monotonic() - start


def on_fill(options, table):
    with Cluster(options, 1) as c:
        c.fill(options.secrets)
        node = c.nodes[0]
        took = [restart_s(node) for _ in range(5)]
        table.row("Restart with %s secrets to active" % "{:,}".format(options.secrets), "6.4-9.4",
                  (0.5, 0.1), statistics.median(took), "s", spread(took, "s"))
        table.row("Disk for 100,000 secrets", "167", (100, 60),
                  disk_mb(node.data) * 100000 / options.secrets, "MB",
                  "after those restarts; whole log included")


class Memory(threading.Thread):
    """The largest resident memory of a process while this runs."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.node, self.ended = node, threading.Event()
        self.before = self.most = self.now()

    def now(self):
        return {field: self.node.memory_kb(field) for field in ("RssAnon", "VmRSS")}

    def run(self):
        while not self.ended.wait(0.005):
            now = self.now()
            self.most = {field: max(now[field], self.most[field]) for field in now}

    def grown_mb(self, field):
        self.ended.set()
        self.join()
        return (self.most[field] - self.before[field]) / 1024


def on_snapshot(options, table):
    with Cluster(options, 1) as c:
        c.fill(options.snapshot_secrets)
        node = c.nodes[0]
        restart_s(node)     # memory that filling has freed would be used again, and not be seen
        memory = Memory(node)
        memory.start()
        start = time.monotonic()
        out = subprocess.run(["curl", "-sS", "-o", "/dev/null",
                              "-w", "%{http_code} %{size_download}", "-H", "X-Vault-Token: " + c.token,
                              "http://%s:%d/v1/sys/storage/raft/snapshot" % (node.ip, c.port)],
                             check=True, capture_output=True, text=True).stdout.split()
        took = time.monotonic() - start
        if out[0] != "200":
            sys.exit("snapshot: status %s" % out[0])
        what = "Snapshot of %s secrets" % "{:,}".format(options.snapshot_secrets)
        share = 1000000 / options.snapshot_secrets
        table.row(what + ": time for a million", "-", (15, 4), took * share, "s",
                  "%.0f MB" % (int(out[1]) / 1e6))
        table.row(what + ": extra memory", "-", (32, 8), memory.grown_mb("RssAnon"), "MB",
                  "anonymous; resident %.0f MB, pages of the file included"
                  % memory.grown_mb("VmRSS"))


PARTS = {"one": on_one, "three": on_three, "kill": on_kill, "join": on_join, "fill": on_fill,
         "snapshot": on_snapshot}


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("binary", type=os.path.abspath)
    p.add_argument("--seconds", type=int, default=4, help="length of each load")
    p.add_argument("--secrets", type=int, default=100000)
    p.add_argument("--snapshot-secrets", type=int, default=1000000)
    p.add_argument("--kills", type=int, default=15)
    p.add_argument("--dir", help="where the data are kept (default: the system's temporary folder)")
    p.add_argument("--server-cpu", default="0", help="of the one node; three nodes share them all")
    p.add_argument("--client-cpu", default="1")
    p.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    options = p.parse_args()
    table = Table()
    for name in options.only:
        PARTS[name](options, table)


if __name__ == "__main__":
    main()
