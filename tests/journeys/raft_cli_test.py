"""The command line of a cluster: its exact output, the transfer of snapshots, and a real cluster.

The first half asks a stand-in that gives recorded answers, so that each form of an answer can be
tried, also those of broken transfers.  The second half needs storage "raft".
"""
import hashlib
import http.server
import io
import json
import os
import re
import subprocess
import tarfile
import threading
import time
from pathlib import Path

import harness
from harness import Journey
from nodes import Nodes

UUID = "13829b90-94eb-b7d8-f774-7b495569562d"


def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def entry(key, value):
    """An entry of state.bin."""
    body = b"".join(tag + varint(len(v)) + v for tag, v in ((b"\x0a", key), (b"\x12", value)))
    return varint(len(body)) + body


def archive(entries, leave_out=()):
    """A snapshot as Vault lays it out, its checksums right; nobody here opens the sealed ones."""
    state = b"".join(entry(k.encode(), v) for k, v in sorted(entries.items()))
    meta = json.dumps({"Version": 1, "ID": "bolt-snapshot", "Index": 45, "Term": 3, "Peers": None,
                       "Configuration": {"Servers": [{"Suffrage": 0, "ID": "n1",
                                                      "Address": "127.0.0.1:8201"}]},
                       "ConfigurationIndex": 42, "Size": len(state)}).encode() + b"\n"
    sums = "".join(f"{hashlib.sha256(b).hexdigest()}  {n}\n"
                   for n, b in (("meta.json", meta), ("state.bin", state))).encode()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in (("meta.json", meta), ("state.bin", state), ("SHA256SUMS", sums),
                              ("SHA256SUMS.sealed", b"\x0a\x04seal")):
            if name not in leave_out:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


class Handler(http.server.BaseHTTPRequestHandler):
    """Notes each request, and answers with what the test has laid out for it."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *args):  # pylint: disable=arguments-differ
        pass

    def handle_any(self):
        path = self.path.removeprefix("/v1/")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.command, path, body, self.headers))
        status, answer = self.server.answers.get((self.command, path), (404, {"errors": []}))
        if callable(answer):
            answer(self)
            return
        raw = answer if isinstance(answer, bytes) else b"" if answer is None \
            else json.dumps(answer).encode()
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_PUT = do_POST = do_DELETE = do_LIST = handle_any


class StandIn(Journey):
    """A server of laid out answers, and the command line asking it."""

    def setUp(self):
        super().setUp()
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.answers, self.http.seen = {}, []
        self.address = f"http://127.0.0.1:{self.http.server_address[1]}"
        thread = threading.Thread(target=self.http.serve_forever, args=(0.02,))
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.http.server_close)
        self.addCleanup(self.http.shutdown)

    def lay(self, method, path, answer, status=200):
        self.http.answers[(method, path)] = (status, answer)

    def lay_data(self, method, path, data):
        self.lay(method, path, {"request_id": UUID, "lease_id": "", "renewable": False,
                                "lease_duration": 0, "data": data, "wrap_info": None,
                                "warnings": None, "auth": None})

    def environment(self):
        env = harness.clean_environment(self.dir)
        env.update(VAULT_ADDR=self.address, VAULT_TOKEN="s.token", TMPDIR=str(self.dir))
        return env

    def cli(self, *arguments, stdin=None):
        return subprocess.run([harness.binary, *arguments], env=self.environment(), cwd=self.dir,
                              input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=60, check=False)

    def prints(self, arguments, stdout, code=0):
        done = self.cli(*arguments)
        self.assertEqual((done.stdout.decode(), done.returncode), (stdout, code),
                         done.stderr.decode())
        return done

    def refuses(self, arguments, reason, code=2):
        """Fails with the reason on standard error, and says nothing else."""
        done = self.cli(*arguments)
        self.assertEqual((done.stdout, done.returncode), (b"", code), done.stderr.decode())
        self.assertIn(reason, done.stderr.decode())
        return done

    def body(self):
        """The JSON body of the last request."""
        return json.loads(self.http.seen[-1][2])


class Peers(StandIn):
    """operator raft list-peers, remove-peer, join; step-down."""

    def configuration(self):
        return {"config": {"index": 0, "servers": [
            {"node_id": "vault_2", "address": "127.0.0.2:8201", "leader": True,
             "protocol_version": "3", "voter": True},
            {"node_id": "vault_3", "address": "127.0.0.3:8201", "leader": False,
             "protocol_version": "3", "voter": False}]}}

    def test_peers_are_a_table(self):
        self.lay_data("GET", "sys/storage/raft/configuration", self.configuration())
        self.prints(["operator", "raft", "list-peers"],
                    "Node       Address           State       Voter\n"
                    "----       -------           -----       -----\n"
                    "vault_2    127.0.0.2:8201    leader      true\n"
                    "vault_3    127.0.0.3:8201    follower    false\n")

    def test_peers_as_json_are_the_whole_secret(self):
        self.lay_data("GET", "sys/storage/raft/configuration", self.configuration())
        done = self.cli("operator", "raft", "list-peers", "-format=json")
        self.assertEqual(json.loads(done.stdout),
                         {"request_id": UUID, "lease_id": "", "lease_duration": 0,
                          "renewable": False, "data": self.configuration(), "warnings": None})

    def test_a_secondary_is_asked_with_its_token(self):
        self.lay_data("PUT", "sys/storage/raft/configuration", self.configuration())
        done = self.cli("operator", "raft", "list-peers", "-dr-token=s.dr")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.body(), {"dr_operation_token": "s.dr"})

    def test_no_answer_and_refusals_are_told(self):
        self.refuses(["operator", "raft", "list-peers"], "No raft cluster configuration found")
        self.lay("GET", "sys/storage/raft/configuration", {"errors": ["Vault is sealed"]}, 503)
        self.refuses(["operator", "raft", "list-peers"],
                     "Error reading the raft cluster configuration: Error making API request.")

    def test_a_peer_is_removed(self):
        self.lay("POST", "sys/storage/raft/remove-peer", None, 204)
        self.prints(["operator", "raft", "remove-peer", "vault_4"], "Peer removed successfully!\n")
        self.assertEqual(self.body(), {"server_id": "vault_4"})

    def test_which_peer_must_be_said(self):
        for arguments, reason in (((), "expected 1, got 0"), (("a", "b"), "expected 1, got 2"),
                                  ((" ",), "Server id is required")):
            self.refuses(["operator", "raft", "remove-peer", *arguments], reason, 1)
        self.assertEqual(self.http.seen, [])

    def test_a_node_joins(self):
        self.lay("POST", "sys/storage/raft/join", {"joined": True})
        self.prints(["operator", "raft", "join", "http://127.0.0.2:8200"],
                    "Key       Value\n---       -----\nJoined    true\n")
        self.assertEqual(self.body(), {
            "auto_join": "", "auto_join_scheme": "", "auto_join_port": 0,
            "leader_api_addr": "http://127.0.0.2:8200", "leader_ca_cert": "",
            "leader_client_cert": "", "leader_client_key": "", "retry": False,
            "non_voter": False})
        done = self.cli("operator", "raft", "join", "-format=json", "http://127.0.0.2:8200")
        self.assertEqual(json.loads(done.stdout), {"joined": True})

    def test_certificates_come_from_files_or_as_they_are(self):
        self.lay("POST", "sys/storage/raft/join", {"joined": True})
        (self.dir / "ca.pem").write_text("PEM of the CA\n")
        done = self.cli("operator", "raft", "join", "-leader-ca-cert=@ca.pem",
                        "-leader-client-cert=CERT", "-leader-client-key", "KEY", "-retry",
                        "-non-voter", "https://active")
        self.assertEqual(done.returncode, 0, done.stderr)
        sent = self.body()
        self.assertEqual(sent["leader_ca_cert"].strip(), "PEM of the CA")
        self.assertEqual((sent["leader_client_cert"], sent["leader_client_key"], sent["retry"],
                          sent["non_voter"]), ("CERT", "KEY", True, True))

    def test_a_discovery_is_passed_on(self):
        self.lay("POST", "sys/storage/raft/join", {"errors": ["auto-join is not supported"]}, 400)
        self.refuses(["operator", "raft", "join", "-auto-join-port=8201", "provider=aws tag=x"],
                     "auto-join is not supported")
        sent = self.body()
        self.assertEqual((sent["auto_join"], sent["auto_join_scheme"], sent["auto_join_port"],
                          sent["leader_api_addr"]), ("provider=aws tag=x", "https", 8201, ""))

    def test_what_cannot_be_joined_is_refused(self):
        for arguments, reason in ((("-leader-ca-cert=@gone.pem", "http://a"), "gone.pem"),
                                  (("-auto-join-scheme=ftp", "provider=x"), "invalid scheme"),
                                  (("http://a", "http://b"), "Too many arguments")):
            self.refuses(["operator", "raft", "join", *arguments], reason, 1)
        self.assertEqual(self.http.seen, [])

    def test_the_active_node_steps_down(self):
        self.lay("PUT", "sys/step-down", None, 204)
        self.prints(["operator", "step-down"], f"Success! Stepped down: {self.address}\n")


class Autopilot(StandIn):
    """operator raft autopilot."""

    CONFIG = {"cleanup_dead_servers": True, "dead_server_last_contact_threshold": "30m0s",
              "last_contact_threshold": "10s", "max_trailing_logs": 1000, "min_quorum": 3,
              "server_stabilization_time": "10s"}
    STATE = {"healthy": True, "failure_tolerance": 1, "leader": "n1", "voters": ["n1", "n2"],
             "servers": {name: {"id": name, "name": name, "address": f"127.0.0.1:820{at}",
                                "node_status": "alive", "last_contact": contact, "last_term": 3,
                                "last_index": 38, "healthy": True, "status": status,
                                "stable_since": "2021-03-19T20:14:11.831678-04:00",
                                "meta": None}
                         for at, name, contact, status in ((3, "n2", "1.5s", "voter"),
                                                           (1, "n1", "0s", "leader"))}}

    def server_lines(self, name, port, status, contact):
        return (f"   {name}\n      Name:            {name}\n"
                f"      Address:         127.0.0.1:{port}\n      Status:          {status}\n"
                f"      Node Status:     alive\n      Healthy:         true\n"
                f"      Last Contact:    {contact}\n      Last Term:       3\n"
                f"      Last Index:      38\n")

    def test_the_configuration_is_a_table(self):
        self.lay_data("GET", "sys/storage/raft/autopilot/configuration", self.CONFIG)
        self.prints(["operator", "raft", "autopilot", "get-config"],
                    "Key                                   Value\n"
                    "---                                   -----\n"
                    "Cleanup Dead Servers                  true\n"
                    "Last Contact Threshold                10s\n"
                    "Dead Server Last Contact Threshold    30m0s\n"
                    "Server Stabilization Time             10s\n"
                    "Min Quorum                            3\n"
                    "Max Trailing Logs                     1000\n")
        done = self.cli("operator", "raft", "autopilot", "get-config", "-format=json")
        self.assertEqual(json.loads(done.stdout), self.CONFIG)

    def test_only_what_is_named_is_changed(self):
        path = "sys/storage/raft/autopilot/configuration"
        self.lay("PUT", path, None, 204)
        self.prints(["operator", "raft", "autopilot", "set-config", "-cleanup-dead-servers=true",
                     "-min-quorum=3", "-dead-server-last-contact-threshold=1440s"], "")
        self.assertEqual(self.body(), {"cleanup_dead_servers": True, "min_quorum": 3,
                                       "dead_server_last_contact_threshold": "24m0s"})
        self.prints(["operator", "raft", "autopilot", "set-config", "-max-trailing-logs=7",
                     "-last-contact-threshold=5", "-server-stabilization-time=1m"], "")
        self.assertEqual(self.body(), {"max_trailing_logs": 7, "last_contact_threshold": "5s",
                                       "server_stabilization_time": "1m0s"})

    def test_settings_that_cannot_be_are_refused(self):
        for flag in ("-min-quorum=-1", "-min-quorum=x", "-last-contact-threshold=soon",
                     "-cleanup-dead-servers=perhaps", "-max-trailing-logs=-5", "-speed=9"):
            done = self.cli("operator", "raft", "autopilot", "set-config", flag)
            self.assertEqual((done.returncode, done.stdout), (1, b""), flag)
        self.assertEqual(self.http.seen, [])

    def test_the_state_is_a_text(self):
        self.lay_data("GET", "sys/storage/raft/autopilot/state", self.STATE)
        text = ("Healthy:                      true\nFailure Tolerance:            1\n"
                "Leader:                       n1\nVoters:\n   n1\n   n2\nServers:\n"
                + self.server_lines("n1", 8201, "leader", "0s")
                + self.server_lines("n2", 8203, "voter", "1.5s") + "\n")
        for form in ((), ("-format=pretty",), ("-format=table",)):
            self.prints(["operator", "raft", "autopilot", "state", *form], text)

    def test_the_state_tells_of_servers_without_a_vote_and_their_marks(self):
        state = json.loads(json.dumps(self.STATE))
        state["non_voters"] = ["n9"]
        state["servers"]["n2"]["meta"] = {"zone": 'a "b"', "age": "1"}
        self.lay_data("GET", "sys/storage/raft/autopilot/state", state)
        text = self.cli("operator", "raft", "autopilot", "state").stdout.decode()
        self.assertIn("Voters:\n   n1\n   n2\nNon Voters:\n   n9\nServers:\n", text)
        self.assertTrue(text.endswith('      Meta\n         "age": "1"\n'
                                      '         "zone": "a \\"b\\""\n\n'), text)

    def test_the_state_for_programs_has_the_names_of_vaults_client(self):
        self.lay_data("GET", "sys/storage/raft/autopilot/state", self.STATE)
        raw = self.cli("operator", "raft", "autopilot", "state", "-format=json").stdout.decode()
        state = json.loads(raw)
        self.assertEqual(list(state), ["Healthy", "FailureTolerance", "Servers", "Leader",
                                       "Voters", "NonVoters"])
        self.assertIsNone(state["NonVoters"])
        self.assertEqual(list(state["Servers"]), ["n1", "n2"])
        self.assertEqual(state["Servers"]["n2"], {
            "ID": "n2", "Name": "n2", "Address": "127.0.0.1:8203", "NodeStatus": "alive",
            "LastContact": "1.5s", "LastTerm": 3, "LastIndex": 38, "Healthy": True,
            "StableSince": "2021-03-19T20:14:11.831678-04:00", "Status": "voter", "Meta": None})

    def test_a_server_without_autopilot_says_nothing(self):
        self.lay("GET", "sys/storage/raft/autopilot/state", None, 404)
        self.prints(["operator", "raft", "autopilot", "state"], "")
        self.lay("GET", "sys/storage/raft/autopilot/state", {"errors": ["no"]}, 500)
        self.refuses(["operator", "raft", "autopilot", "state"], "Error checking autopilot state")


class Status(StandIn):
    """status of the nodes of a cluster."""

    def lay_status(self, sealed=False, **leader):
        self.lay("GET", "sys/seal-status", {
            "type": "shamir", "initialized": True, "sealed": sealed, "t": 2, "n": 3, "progress": 0,
            "nonce": "", "version": "1.8.0", "migration": False, "recovery_seal": False,
            "storage_type": "raft", **({} if sealed else {"cluster_name": "vault-cluster-1",
                                                          "cluster_id": UUID})})
        if sealed:
            self.lay("GET", "sys/leader", {"errors": ["Vault is sealed"]}, 503)
            return
        self.lay("GET", "sys/leader", {
            "ha_enabled": True, "is_self": False, "active_time": "0001-01-01T00:00:00Z",
            "leader_address": "http://127.0.0.2:8200",
            "leader_cluster_address": "https://127.0.0.2:8201", "performance_standby": False,
            "performance_standby_last_remote_wal": 0, **leader})

    def rows(self, *wanted):
        done = self.cli("status")
        self.assertEqual(done.returncode, 0, done.stderr)
        text = done.stdout.decode()
        found = re.search(r"^HA Enabled.*", text, re.S | re.M).group().splitlines()
        self.assertEqual([tuple(re.split(r" {2,}", r)) for r in found], list(wanted))

    def test_an_active_node(self):
        self.lay_status(is_self=True, active_time="2021-07-28T10:20:30.5Z",
                        raft_committed_index=29, raft_applied_index=28)
        self.rows(("HA Enabled", "true"), ("HA Cluster", "https://127.0.0.2:8201"),
                  ("HA Mode", "active"), ("Active Since", "2021-07-28T10:20:30.5Z"),
                  ("Raft Committed Index", "29"), ("Raft Applied Index", "28"))

    def test_a_standby(self):
        self.lay_status(raft_committed_index=29, raft_applied_index=29)
        self.rows(("HA Enabled", "true"), ("HA Cluster", "https://127.0.0.2:8201"),
                  ("HA Mode", "standby"), ("Active Node Address", "http://127.0.0.2:8200"),
                  ("Raft Committed Index", "29"), ("Raft Applied Index", "29"))

    def test_a_standby_that_reads(self):
        self.lay_status(performance_standby=True, performance_standby_last_remote_wal=7)
        self.rows(("HA Enabled", "true"), ("HA Cluster", "https://127.0.0.2:8201"),
                  ("HA Mode", "standby"), ("Active Node Address", "http://127.0.0.2:8200"),
                  ("Performance Standby Node", "true"),
                  ("Performance Standby Last Remote WAL", "7"))

    def test_a_standby_without_a_leader(self):
        self.lay_status(leader_address="", leader_cluster_address="")
        self.rows(("HA Enabled", "true"), ("HA Cluster", "n/a"), ("HA Mode", "standby"),
                  ("Active Node Address", "<none>"))

    def test_a_sealed_node(self):
        self.lay_status(sealed=True)
        done = self.cli("status")
        self.assertEqual(done.returncode, 2)
        self.assertTrue(done.stdout.endswith(b"HA Enabled         true\n"), done.stdout)


class GenerateRoot(StandIn):
    """operator generate-root, for root and for recovery tokens."""

    def state(self, **more):
        return {"nonce": UUID, "started": True, "progress": 0, "required": 1, "complete": False,
                "encoded_token": "", "encoded_root_token": "", "pgp_fingerprint": "", "otp": "",
                "otp_length": 26, **more}

    def test_a_one_time_password_fits_the_token(self):
        self.lay("GET", "sys/generate-recovery-token/attempt", self.state(started=False))
        done = self.cli("operator", "generate-root", "-generate-otp", "-recovery-token")
        self.assertRegex(done.stdout.decode(), r"^[0-9A-Za-z]{26}$")

    def test_each_kind_of_token_has_its_endpoint(self):
        kinds = (((), "sys/generate-root"), (("-recovery-token",), "sys/generate-recovery-token"),
                 (("-dr-token",), "sys/replication/dr/secondary/generate-operation-token"))
        for flags, path in kinds:
            with self.subTest(path=path):
                self.lay("GET", path + "/attempt", self.state())
                self.lay("PUT", path + "/attempt", self.state())
                self.lay("DELETE", path + "/attempt", None, 204)
                self.lay("PUT", path + "/update", self.state(
                    progress=1, complete=True, encoded_token="JHo", otp_length=0))
                self.prints(["operator", "generate-root", "-init", "-otp=" + 26 * "a", *flags],
                            f"Nonce         {UUID}\nStarted       true\nProgress      0/1\n"
                            "Complete      false\nOTP Length    26\n")
                self.assertEqual(self.body()["otp"], 26 * "a")
                self.prints(["operator", "generate-root", f"-nonce={UUID}", *flags, "SHARE"],
                            f"Nonce            {UUID}\nStarted          true\n"
                            "Progress         1/1\nComplete         true\nEncoded Token    JHo\n")
                self.assertEqual(self.body(), {"key": "SHARE", "nonce": UUID})
                self.prints(["operator", "generate-root", "-cancel", *flags],
                            "Success! Root token generation canceled (if it was started)\n")

    def test_a_token_is_decoded(self):
        """The values of the guide."""
        self.lay("GET", "sys/generate-recovery-token/attempt", self.state(started=False))
        self.prints(["operator", "generate-root", "-recovery-token",
                     "-decode=JHo/XAUEAR0CCWI6JCgVDzQWGSlePgN6eCo",
                     "-otp=VTFdQgNjmSSCfiWmaztJgZa6MN"], "r.y8TcOwoZ1yBABbUlmc9dbL5d")

    def test_two_kinds_at_once_and_two_secrets_at_once_are_refused(self):
        self.refuses(["operator", "generate-root", "-dr-token", "-recovery-token"], "Both", 1)
        self.refuses(["operator", "generate-root", "-decode=JHo"], "Missing otp", 1)
        self.lay("GET", "sys/generate-recovery-token/attempt", self.state(started=False))
        self.refuses(["operator", "generate-root", "-recovery-token", "-nonce=x", "SHARE"],
                     "No root generation is in progress", 1)


class Snapshot(StandIn):
    """operator raft snapshot: what arrives, what is sent, what is inside."""

    PATH = "sys/storage/raft/snapshot"

    def setUp(self):
        super().setUp()
        self.whole = archive({"core/cluster/a": b"x" * 10, "core/cluster/b": b"y" * 2000,
                              "core/lock": b"z", "logical/1/2": os.urandom(200000)})

    def only(self, *names):
        """Nothing else lies in the directory."""
        self.assertEqual(sorted(p.name for p in self.dir.iterdir()), sorted(names))

    def test_what_is_saved_is_what_was_sent(self):
        self.lay("GET", self.PATH, self.whole)
        self.prints(["operator", "raft", "snapshot", "save", "a.snap"], "")
        self.assertEqual((self.dir / "a.snap").read_bytes(), self.whole)
        self.only("a.snap")

    def test_an_older_file_stays_when_a_transfer_breaks(self):
        old = self.dir / "a.snap"
        old.write_bytes(b"old")

        def tear(handler):
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(self.whole)))
            handler.end_headers()
            handler.wfile.write(self.whole[:len(self.whole) // 2])
            handler.close_connection = True

        self.lay("GET", self.PATH, tear)
        self.refuses(["operator", "raft", "snapshot", "save", "a.snap"],
                     "Error taking the snapshot: Get ")
        self.assertEqual(old.read_bytes(), b"old")
        self.only("a.snap")

    def test_what_is_no_whole_snapshot_is_not_kept(self):
        for what, sent in (("cut", self.whole[:-2000]), ("nothing", b""), ("a page", b"<html>"),
                           ("no sums", archive({"a": b"b"}, {"SHA256SUMS"})),
                           ("no content", archive({"a": b"b"}, {"state.bin"})),
                           ("one byte off", self.whole[:5000] + bytes([self.whole[5000] ^ 1])
                            + self.whole[5001:])):
            with self.subTest(what=what):
                self.lay("GET", self.PATH, sent)
                self.refuses(["operator", "raft", "snapshot", "save", "a.snap"],
                             "Error taking the snapshot: what came is not a whole snapshot")
                self.only()

    def test_a_refusal_makes_no_file(self):
        self.lay("GET", self.PATH, {"errors": ["permission denied"]}, 403)
        done = self.refuses(["operator", "raft", "snapshot", "save", "a.snap"], "Code: 403")
        self.assertIn("* permission denied", done.stderr.decode())
        self.only()

    def test_places_that_cannot_be_written_are_told(self):
        self.lay("GET", self.PATH, self.whole)
        for place in ("gone/a.snap", "."):
            self.refuses(["operator", "raft", "snapshot", "save", place],
                         "Error taking the snapshot: open ")
        self.refuses(["operator", "raft", "snapshot", "save"], "expected 1, got 0", 1)
        self.refuses(["operator", "raft", "snapshot", "save", " "], "Output file name", 1)
        self.assertEqual(self.http.seen, [])

    def test_a_snapshot_goes_through_a_pipe(self):
        self.lay("GET", self.PATH, self.whole)
        done = self.cli("operator", "raft", "snapshot", "save", "/dev/stdout")
        self.assertEqual((done.returncode, done.stdout), (0, self.whole), done.stderr)
        self.lay("POST", self.PATH, None, 204)
        done = self.cli("operator", "raft", "snapshot", "restore", "/dev/stdin", stdin=self.whole)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.http.seen[-1][2], self.whole)
        self.only()

    def test_a_file_is_restored_as_it_is(self):
        (self.dir / "a.snap").write_bytes(self.whole)
        for flags, path in (((), self.PATH), (("-force",), self.PATH + "-force")):
            self.lay("POST", path, None, 204)
            self.prints(["operator", "raft", "snapshot", "restore", *flags, "a.snap"], "")
            method, asked, body, headers = self.http.seen[-1]
            self.assertEqual((method, asked, body), ("POST", path, self.whole))
            self.assertEqual(headers["Content-Type"], "application/octet-stream")

    def test_a_restore_that_is_refused_or_has_no_file(self):
        (self.dir / "empty").touch()
        for name, reason in (("gone.snap", "no such file"), ("empty", "is empty"),
                             (".", "is a directory")):
            self.refuses(["operator", "raft", "snapshot", "restore", name], reason)
        self.assertEqual(self.http.seen, [])
        (self.dir / "a.snap").write_bytes(self.whole)
        self.lay("POST", self.PATH, {"errors": ["not a snapshot"]}, 400)
        self.refuses(["operator", "raft", "snapshot", "restore", "a.snap"],
                     "Error installing the snapshot: Error making API request.")

    def test_calls_are_printed_for_curl(self):
        (self.dir / "a.snap").write_bytes(self.whole)
        done = self.cli("operator", "raft", "snapshot", "restore", "-output-curl-string", "a.snap")
        self.assertIn("-X POST ", done.stdout.decode())
        self.assertIn(f"-T 'a.snap' {self.address}/v1/{self.PATH}\n", done.stdout.decode())
        done = self.cli("operator", "raft", "snapshot", "save", "-output-curl-string", "b.snap")
        self.assertIn(f"{self.address}/v1/{self.PATH}\n", done.stdout.decode())
        self.only("a.snap")
        self.assertEqual(self.http.seen, [])

    def test_a_transfer_grows_no_memory(self):
        """Both ways with 96 MB, under a limit on the process's memory."""
        if b"__asan_init" in Path(harness.binary).read_bytes():
            self.skipTest("a sanitizer takes memory of its own")
        big = archive({f"logical/{i:03}": os.urandom(1 << 20) for i in range(96)})
        self.lay("GET", self.PATH, big)
        self.lay("POST", self.PATH, None, 204)
        for command in ("save", "restore"):
            done = subprocess.run(["bash", "-c", 'ulimit -d 40000; exec "$@"', "sh",
                                   harness.binary, "operator", "raft", "snapshot", command,
                                   "big.snap"], env=self.environment(), cwd=self.dir,
                                  stderr=subprocess.PIPE, timeout=100, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(hashlib.sha256(self.http.seen[-1][2]).digest(),
                         hashlib.sha256(big).digest())

    def test_a_snapshot_is_inspected_without_a_server(self):
        (self.dir / "a.snap").write_bytes(archive({"core/cluster/a": b"x" * 10, "core/lock": b"z",
                                                   "core/cluster/b": b"y" * 2000}))
        head = ("ID           bolt-snapshot\nSize         2066\nIndex        45\n"
                "Term         3\nVersion      1\n")
        table = ("\nKey Name          Count      Size\n--------          -----      ----\n"
                 "core/cluster      2          2 KB\ncore/lock         1          10 B\n"
                 "--------          -----      ----\nTotal             3          2 KB\n")
        size = len(b"".join(entry(k, v) for k, v in (
            (b"core/cluster/a", b"x" * 10), (b"core/cluster/b", b"y" * 2000),
            (b"core/lock", b"z"))))
        head = head.replace("2066", str(size))
        self.prints(["operator", "raft", "snapshot", "inspect", "a.snap"], head + table)
        self.prints(["operator", "raft", "snapshot", "inspect", "-details=false", "a.snap"], head)
        done = self.cli("operator", "raft", "snapshot", "inspect", "-depth=0",
                        "-filter=core/cluster/", "-format=json", "a.snap")
        self.assertEqual(json.loads(done.stdout), {
            "Meta": {"ID": "bolt-snapshot", "Size": size, "Index": 45, "Term": 3, "Version": 1},
            "StatsKV": [{"Name": "core/cluster/a", "Count": 1, "Size": 24},
                        {"Name": "core/cluster/b", "Count": 1, "Size": 2014}],
            "TotalCountKV": 2, "TotalSizeKV": 2038})
        self.assertEqual(self.http.seen, [])

    def test_what_is_no_snapshot_is_not_inspected(self):
        (self.dir / "cut").write_bytes(self.whole[:-2000])
        (self.dir / "text").write_text("no snapshot")
        for arguments, reason in ((("cut",), "Error reading snapshot"),
                                  (("text",), "Error reading snapshot"),
                                  (("gone",), "no such file"), ((), "expected 1, got 0"),
                                  (("-depth=-1", "cut"), "cannot be negative")):
            self.refuses(["operator", "raft", "snapshot", "inspect", *arguments], reason, 1)


# ---- the real thing ----

class Cluster(Nodes):
    """Two nodes with Shamir's seal, looked after by the command line alone."""

    def setUp(self):
        super().setUp()
        self.first, self.second = self.node("vault_2"), self.node("vault_3")

    def test_two_nodes_from_the_first_to_the_last_command(self):
        first, second = self.first, self.second
        first.init().unseal()
        self.assertEqual(self.peers(first), {"vault_2": (first.cluster, "leader", "true")})
        self.assertEqual(self.run_ok(second, "operator", "raft", "join", first.address),
                         "Key       Value\n---       -----\nJoined    true\n")
        second.keys, second.root, second.threshold = first.keys, first.root, first.threshold
        self.run_ok(second, "operator", "unseal", first.keys[0])
        both = {"vault_2": (first.cluster, "leader", "true"),
                "vault_3": (second.cluster, "follower", "true")}
        self.eventually(lambda: self.peers(first) == both)
        self.eventually(lambda: self.status(second).get("HA Mode") == "standby")
        self.assertEqual(self.status(second)["Active Node Address"], first.address)
        self.assertEqual(self.status(first)["HA Mode"], "active")
        self.snapshot(first)
        self.assertEqual(self.run_ok(first, "operator", "step-down"),
                         f"Success! Stepped down: {first.address}\n")
        self.eventually(lambda: self.peers(second).get("vault_3", ("", ""))[1] == "leader")
        self.assertEqual(self.run_ok(second, "operator", "raft", "remove-peer", "vault_2"),
                         "Peer removed successfully!\n")
        self.eventually(lambda: list(self.peers(second)) == ["vault_3"])

    def snapshot(self, node):
        """Saved, inspected, undone by, and a torn one refused."""
        self.run_ok(node, "secrets", "enable", "-version=1", "kv")
        self.run_ok(node, "kv", "put", "kv/apikey", "webapp=ABB39")
        self.assertEqual(self.run_ok(node, "operator", "raft", "snapshot", "save", "demo.snapshot"),
                         "")
        found = json.loads(self.run_ok(node, "operator", "raft", "snapshot", "inspect",
                                       "-format=json", "demo.snapshot"))
        self.assertIn("core/keyring", [row["Name"] for row in found["StatsKV"]])
        self.run_ok(node, "kv", "delete", "kv/apikey")
        (node.dir / "torn").write_bytes((node.dir / "demo.snapshot").read_bytes()[:-100])
        torn = node.cli("operator", "raft", "snapshot", "restore", "torn")
        self.assertEqual(torn.returncode, 2)
        self.assertEqual(node.cli("kv", "get", "kv/apikey").returncode, 2)
        self.assertEqual(self.run_ok(node, "operator", "raft", "snapshot", "restore",
                                     "demo.snapshot"), "")
        self.eventually(lambda: node.cli("kv", "get", "-field=webapp", "kv/apikey").stdout
                        == "ABB39")

    def test_autopilot_tells_of_the_only_node(self):
        self.first.init().unseal()
        self.run_ok(self.first, "operator", "raft", "autopilot", "set-config", "-min-quorum=3")
        self.assertRegex(self.run_ok(self.first, "operator", "raft", "autopilot", "get-config"),
                         r"(?m)^Min Quorum +3$")
        text = self.eventually(
            lambda: self.first.cli("operator", "raft", "autopilot", "state").stdout)
        self.assertRegex(text, r"(?m)^Leader: +vault_2$")

    def test_what_cannot_be_joined_is_told(self):
        self.first.init().unseal()
        for leader in ("http://127.0.0.1:1", "nonsense"):
            done = self.second.cli("operator", "raft", "join", leader)
            self.assertEqual(done.returncode, 2, done.stdout)
            self.assertIn("Error joining the node to the Raft cluster", done.stderr)
        done = self.first.cli("operator", "raft", "remove-peer", "")
        self.assertEqual(done.returncode, 1)
