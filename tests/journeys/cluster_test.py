"""Clusters with integrated storage: joining, forwarding, leadership, members, snapshots."""
import base64
import hashlib
import io
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import tarfile
import time
from pathlib import Path

import harness
from cluster import ClusterJourney

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("COFFER_SHARED", ROOT.parent / "shared"))


class Joining(ClusterJourney):
    """How an empty node becomes a member, and what it is told when it cannot."""

    def test_by_the_api_and_then_it_has_the_data_and_a_vote(self):
        first = self.first()
        first.put("sys/mounts/kv", {"type": "kv"})
        first.put("kv/a", {"v": "1"})
        second = self.let_join(first, "n2")
        self.assertEqual(second.get("kv/a").data, {"v": "1"})
        self.assertEqual(set(second.peers()), {"n1", "n2"})
        self.assertEqual(second.peers()["n2"]["address"], second.cluster)

    def test_by_the_command_line(self):
        first = self.first()
        second = self.node("n2").take_keys(first).start()
        done = second.cli("operator", "raft", "join", first.address)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"Joined +true")
        done = second.cli("operator", "unseal", first.keys[0])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.until_voters(first, "n2")
        done = first.cli("operator", "raft", "list-peers")
        self.assertRegex(done.stdout, rf"n1 +{first.cluster} +leader +true")
        self.assertRegex(done.stdout, rf"n2 +{second.cluster} +follower +true")

    def test_by_way_of_a_standby(self):
        nodes = self.cluster(2)
        third = self.node("n3").take_keys(nodes[0]).start()
        third.put("sys/storage/raft/join", {"leader_api_addr": nodes[1].address}, token="")
        third.give_keys()
        self.until_voters(nodes[0], "n3")

    def test_several_shares_of_the_key_are_given_one_by_one(self):
        first = self.first(shares=3, threshold=2)
        second = self.node("n2").take_keys(first).start()
        second.put("sys/storage/raft/join", {"leader_api_addr": first.address}, token="")
        one = second.put("sys/unseal", {"key": first.keys[0]}, token="").body
        self.assertEqual((one["sealed"], one["t"], one["n"], one["progress"]), (True, 2, 3, 1))
        second.put("sys/unseal", {"key": first.keys[2]}, token="")
        self.until_voters(first, "n2")

    def test_retry_join_waits_for_a_leader_that_is_not_there_yet(self):
        first = self.node("n1")
        second = self.node("n2", join=[first]).start()
        self.assertEqual(second.health(), 501)
        first.start().init().unseal()
        second.take_keys(first)
        self.until("n2 may be unsealed", lambda: second.give_keys().status == 200)
        self.until_voters(first, "n2")

    def test_retry_join_takes_the_first_address_that_answers(self):
        first = self.first()
        nobody = f'leader_api_addr = "http://127.0.0.1:{harness.free_port()}"'
        second = self.node("n2", join=[nobody, first]).take_keys(first).start()
        self.until("n2 may be unsealed", lambda: second.give_keys().status == 200)
        self.until_voters(first, "n2")

    def test_retry_join_of_a_leader_with_tls(self):
        ca = Authority(self.dir)
        cert, key = ca.issue("127.0.0.1")
        listener = f'tls_cert_file = "{cert}"\n  tls_key_file = "{key}"'
        context = ssl.create_default_context(cafile=ca.cert)
        first = self.first(listener=listener, tls=context)
        join = (f'leader_api_addr = "{first.address}"\n'
                f'    leader_ca_cert_file = "{ca.cert}"')
        second = self.node("n2", join=[join]).take_keys(first).start()
        self.until("n2 may be unsealed", lambda: second.give_keys().status == 200)
        self.until_voters(first, "n2")

    def test_a_leader_whose_certificate_is_of_an_unknown_authority_is_not_believed(self):
        ca, other = Authority(self.dir, "ca"), Authority(self.dir, "other")
        cert, key = ca.issue("127.0.0.1")
        listener = f'tls_cert_file = "{cert}"\n  tls_key_file = "{key}"'
        first = self.first(listener=listener, tls=ssl.create_default_context(cafile=ca.cert))
        second = self.node("n2").start()
        answer = second.request("POST", "sys/storage/raft/join", {
            "leader_api_addr": first.address, "leader_ca_cert": Path(other.cert).read_text()},
            token="")
        self.assertEqual(answer.status, 500)
        self.assertIn("failed to join", answer.raw.decode())
        self.assertIn("certificate", second.log_text())
        self.assertEqual(set(first.peers()), {"n1"})

    def test_a_mistyped_address_is_told_and_the_right_one_works_afterwards(self):
        first = self.first()
        second = self.node("n2").take_keys(first).start()
        for wrong in (f"http://127.0.0.1:{harness.free_port()}", "http://nobody.invalid:8200",
                      "127.0.0.1:8200", "http://", "ftp://127.0.0.1"):
            answer = second.request("POST", "sys/storage/raft/join", {"leader_api_addr": wrong},
                                    token="")
            self.assertGreaterEqual(answer.status, 400, wrong)
            self.assertTrue(answer.body["errors"], wrong)
        self.assertEqual(second.health(), 501)
        second.put("sys/storage/raft/join", {"leader_api_addr": first.address}, token="")
        second.give_keys()
        self.until_voters(first, "n2")

    def test_a_node_that_is_asked_to_join_itself_refuses(self):
        second = self.node("n2").start()
        answer = second.request("POST", "sys/storage/raft/join",
                                {"leader_api_addr": second.address}, token="")
        self.assertGreaterEqual(answer.status, 400)
        self.assertEqual(second.health(), 501)

    def test_the_key_of_another_cluster_lets_nobody_in(self):
        first, stranger = self.first(), self.first("s1")
        second = self.node("n2").start()
        second.put("sys/storage/raft/join", {"leader_api_addr": first.address}, token="")
        answer = second.request("PUT", "sys/unseal", {"key": stranger.keys[0]}, token="")
        self.assertGreaterEqual(answer.status, 400)
        self.assertTrue(answer.body["errors"])
        self.assertEqual(set(first.peers()), {"n1"})
        second.take_keys(first).give_keys()     # and the right one does
        self.until_voters(first, "n2")

    def test_a_node_with_data_of_another_cluster_is_not_taken(self):
        first, stranger = self.first(), self.first("s1")
        answer = stranger.request("POST", "sys/storage/raft/join",
                                  {"leader_api_addr": first.address}, token="")
        self.assertGreaterEqual(answer.status, 200)
        self.assertEqual(set(first.peers()), {"n1"})
        self.assertEqual(set(stranger.peers()), {"s1"})
        self.assertEqual(stranger.health(), 200)
        if answer.status == 200:        # as Vault: "joined", because it is a cluster's member
            self.assertIn("joined", answer.body)

    def test_the_name_of_a_living_member_is_taken(self):
        nodes = self.cluster(2)
        other = self.node("other", raft="")
        other.name = "n2"
        other.configure().take_keys(nodes[0]).start()
        other.request("POST", "sys/storage/raft/join", {"leader_api_addr": nodes[0].address},
                      token="")
        answer = other.give_keys()
        said = answer.raw.decode() + other.log_text()
        self.assertIn("n2", said)
        self.assertRegex(said, r"named|node_id|already")
        self.assertEqual(nodes[0].peers()["n2"]["address"], nodes[1].cluster)
        self.assertIn(nodes[1].health(), (429, 473))

    def test_a_non_voter_stays_one(self):
        first = self.first()
        second = self.node("n2").take_keys(first).start()
        second.put("sys/storage/raft/join", {"leader_api_addr": first.address, "non_voter": True},
                   token="")
        second.give_keys()
        self.until("n2 is a standby", lambda: second.health() in (429, 473))
        third = self.let_join(first, "n3")      # by when n2 would have been promoted too
        self.assertFalse(third.peers()["n2"]["voter"])
        first.put("sys/mounts/kv", {"type": "kv"})
        first.put("kv/a", {"v": "1"})
        self.assertEqual(second.get("kv/a").data, {"v": "1"})

    def test_retry_join_as_non_voter(self):
        first = self.first()
        second = self.node("n2", join=[first], raft="retry_join_as_non_voter = true")
        second.take_keys(first).start()
        self.until("n2 is unsealed", lambda: second.give_keys().status == 200
                   and second.health() in (429, 473))
        self.let_join(first, "n3")
        self.assertFalse(first.peers()["n2"]["voter"])

    def test_a_node_without_a_name_keeps_the_one_that_it_made(self):
        first = self.node("n1")
        text = first.config.read_text().replace('node_id = "n1"\n', "")
        first.config.write_text(text)
        first.start().init().unseal()
        name = next(iter(first.peers()))
        self.assertTrue(name)
        first.restart()
        self.assertEqual(list(first.peers()), [name])

    def test_an_answer_without_the_key_is_refused(self):
        first = self.first()
        challenge = first.put("sys/storage/raft/bootstrap/challenge", {"server_id": "evil"},
                              token="")
        self.assertTrue(challenge.data["challenge"])
        for answer in (challenge.data["challenge"], base64.b64encode(bytes(16)).decode(), "x", ""):
            refused = first.request("PUT", "sys/storage/raft/bootstrap/answer", {
                "server_id": "evil", "answer": answer, "cluster_addr": "127.0.0.1:1"}, token="")
            self.assertGreaterEqual(refused.status, 400, refused)
            self.assertNotIn(b"tls_keyring", refused.raw)
        self.assertEqual(set(first.peers()), {"n1"})


class Standby(ClusterJourney):
    """What a standby answers itself, and what it hands on."""

    def setUp(self):
        super().setUp()
        self.active, self.standby = self.cluster(2)
        self.active.put("sys/mounts/kv", {"type": "kv"})

    def test_health_and_leader(self):
        self.assertEqual(self.active.health(), 200)
        self.assertIn(self.standby.health(), (429, 473))
        self.assertEqual(self.standby.health("?standbyok=true&perfstandbyok=true"), 200)
        for query in ("standbycode=299&performancestandbycode=299",):
            self.assertEqual(self.standby.health("?" + query), 299)
        health = self.standby.request("GET", "sys/health", token="").body
        self.assertEqual((health["initialized"], health["sealed"], health["standby"]),
                         (True, False, True))
        self.assertEqual(self.standby.request("HEAD", "sys/health", token="").status,
                         self.standby.health())
        for node in (self.active, self.standby):
            leader = node.leader()
            self.assertTrue(leader["ha_enabled"])
            self.assertEqual(leader["is_self"], node is self.active)
            self.assertEqual(leader["leader_address"], self.active.address)
            self.assertEqual(leader["leader_cluster_address"], f"https://{self.active.cluster}")
            self.assertGreater(leader["raft_applied_index"], 0)

    def test_health_and_performance_standby_agree(self):
        health = self.standby.request("GET", "sys/health", token="").body
        leader = self.standby.leader()
        self.assertEqual(health["performance_standby"], leader["performance_standby"])
        self.assertEqual(self.standby.health(), 473 if health["performance_standby"] else 429)

    def test_what_is_written_by_way_of_either_is_read_from_both_at_once(self):
        for number in range(100):
            writer, reader = ((self.active, self.standby), (self.standby, self.active))[number % 2]
            writer.put("kv/a", {"n": number})
            self.assertEqual(reader.get("kv/a").data, {"n": number})
            self.assertEqual(writer.get("kv/a").data, {"n": number})

    def test_a_new_token_is_known_at_once_and_a_revoked_one_is_not(self):
        for _ in range(20):
            token = self.active.put("auth/token/create", {}).body["auth"]["client_token"]
            self.standby.get("auth/token/lookup-self", token=token)
            self.active.put("auth/token/revoke", {"token": token})
            self.assertEqual(self.standby.request("GET", "auth/token/lookup-self",
                                                  token=token).status, 403)

    def test_policies_and_mounts_change_at_once(self):
        made = self.active.put("auth/token/create", {"policies": ["p"]}).body
        token = made["auth"]["client_token"]
        self.active.put("kv/a", {"v": "1"})
        self.assertEqual(self.standby.request("GET", "kv/a", token=token).status, 403)
        self.active.put("sys/policy/p", {"policy": 'path "kv/*" { capabilities = ["read"] }'})
        self.standby.get("kv/a", token=token)
        self.active.ok("DELETE", "sys/policy/p")
        self.assertEqual(self.standby.request("GET", "kv/a", token=token).status, 403)
        self.active.put("sys/mounts/other", {"type": "kv"})
        self.standby.put("other/a", {"v": "2"})
        self.assertEqual(self.standby.get("other/a").data, {"v": "2"})
        self.active.ok("DELETE", "sys/mounts/other")
        self.assertEqual(self.standby.request("GET", "other/a").status, 404)

    def test_a_token_of_few_uses_is_counted_wherever_it_is_used(self):
        token = self.active.put("auth/token/create", {"num_uses": 3}).body["auth"]["client_token"]
        codes = [node.request("GET", "auth/token/lookup-self", token=token).status
                 for node in (self.standby, self.active, self.standby, self.standby, self.active)]
        self.assertEqual(codes, [200, 200, 200, 403, 403])

    def test_the_audit_log_of_the_active_node_has_the_client(self):
        log = self.dir / "audit.log"
        self.active.put("sys/audit/f", {"type": "file", "options": {"file_path": str(log)}})
        self.standby.put("kv/a", {"v": "1"}, headers={"X-Forwarded-For": "203.0.113.9"})
        entries = [json.loads(line) for line in log.read_text().splitlines()]
        mine = [e["request"] for e in entries if e["request"]["path"] == "kv/a"]
        self.assertTrue(mine)
        self.assertTrue(all(e["remote_address"] == "127.0.0.1" for e in mine), mine)

    def test_headers_come_through(self):
        self.active.put("sys/config/auditing/request-headers/x-mine", {"hmac": False})
        log = self.dir / "audit.log"
        self.active.put("sys/audit/f", {"type": "file", "options": {"file_path": str(log)}})
        self.standby.put("kv/a", {"v": "1"}, headers={"X-Mine": "yes"})
        self.assertIn('"x-mine":["yes"]', log.read_text())
        answer = self.standby.request("PUT", "kv/a", {"v": "1"},
                                      headers={"X-Vault-Namespace": "nowhere/"})
        same = self.active.request("PUT", "kv/a", {"v": "1"},
                                   headers={"X-Vault-Namespace": "nowhere/"})
        self.assertEqual(answer.status, same.status)

    def test_wrapping_by_way_of_the_standby(self):
        self.active.put("kv/a", {"v": "secret"})
        answer = self.standby.get("kv/a", headers={"X-Vault-Wrap-TTL": "60"})
        token = answer.body["wrap_info"]["token"]
        opened = self.active.put("sys/wrapping/unwrap", {"token": token})
        self.assertEqual(opened.data, {"v": "secret"})
        again = self.standby.request("PUT", "sys/wrapping/unwrap", {"token": token})
        self.assertEqual(again.status, 400)

    def test_a_login_by_way_of_the_standby(self):
        self.standby.put("sys/auth/userpass", {"type": "userpass"})
        self.standby.put("auth/userpass/users/ann", {"password": "pw"})
        login = self.standby.put("auth/userpass/login/ann", {"password": "pw"}, token="")
        token = login.body["auth"]["client_token"]
        for node in (self.active, self.standby):
            self.assertEqual(node.get("auth/token/lookup-self", token=token).data["path"],
                             "auth/userpass/login/ann")
        bad = self.standby.request("PUT", "auth/userpass/login/ann", {"password": "no"}, token="")
        self.assertEqual(bad.status, 400)

    def test_a_client_that_wants_no_forwarding_is_redirected(self):
        answer = self.standby.request("PUT", "kv/a?x=1", {"v": "1"},
                                      headers={"X-Vault-No-Request-Forwarding": "true"})
        self.assertEqual(answer.status, 307)
        self.assertEqual(answer.headers["location"], f"{self.active.address}/v1/kv/a?x=1")
        self.assertEqual(self.active.request("GET", "kv/a").status, 404)

    def test_large_bodies_and_lists_pass(self):
        text = "x" * 400000
        self.standby.put("kv/large", {"v": text})
        self.assertEqual(self.standby.get("kv/large").data, {"v": text})
        for number in range(50):
            self.standby.put(f"kv/list/{number:02}", {"v": "1"})
        self.assertEqual(len(self.standby.ok("LIST", "kv/list").data["keys"]), 50)
        too_large = self.standby.request("PUT", "kv/too-large", {"v": "x" * (2 << 20)})
        self.assertGreaterEqual(too_large.status, 400)

    def test_sealing_the_standby_leaves_the_active_node(self):
        self.standby.put("sys/seal")
        self.until("it is sealed", lambda: self.standby.health() == 503)
        self.assertIn(self.active.health(), (200, 429, 473, 500))
        self.standby.give_keys()
        self.until("a write", lambda: self.active.put("kv/a", {"v": "1"}))

    def test_a_standby_is_forbidden_what_anybody_is(self):
        for path in ("kv/a", "sys/mounts", "sys/storage/raft/configuration"):
            for token in ("", "s.nobody"):
                self.assertGreaterEqual(
                    self.standby.request("GET", path, token=token).status, 400, path)
        self.assertEqual(self.standby.request("PUT", "sys/step-down", token="").status,
                         self.active.request("PUT", "sys/step-down", token="").status)


class Leadership(ClusterJourney):
    """Who is active, and how that changes."""

    def test_step_down(self):
        nodes = self.cluster(3)
        nodes[0].put("sys/mounts/kv", {"type": "kv"})
        nodes[0].put("kv/a", {"v": "1"})
        nodes[0].put("sys/step-down")
        after = self.the_active(nodes[1:])
        self.assertIsNot(after, nodes[0])
        after.put("kv/a", {"v": "2"})
        self.assertEqual([n.get("kv/a").data for n in nodes], [{"v": "2"}] * 3)
        self.assertIn(nodes[0].health(), (429, 473))
        done = after.cli("operator", "step-down")
        self.assertEqual(done.stdout, f"Success! Stepped down: {after.address}\n")

    def test_step_down_of_a_standby_or_without_rights(self):
        nodes = self.cluster(2)
        token = nodes[0].put("auth/token/create",
                             {"policies": ["default"]}).body["auth"]["client_token"]
        self.assertEqual(nodes[0].request("PUT", "sys/step-down", token=token).status, 403)
        self.assertTrue(nodes[0].active())

    def test_the_active_node_is_killed(self):
        nodes = self.cluster(3)
        nodes[0].put("sys/mounts/kv", {"type": "kv"})
        nodes[0].put("kv/a", {"v": "1"})
        nodes[0].kill()
        began = time.monotonic()
        self.until("a write", lambda: nodes[1].put("kv/a", {"v": "2"}), 15)
        self.assertLess(time.monotonic() - began, 10)
        self.assertEqual(nodes[2].get("kv/a").data, {"v": "2"})
        nodes[0].start().give_keys()
        self.until("it is back", lambda: nodes[0].get("kv/a").data == {"v": "2"})

    def test_a_node_alone_answers_no_old_data_and_takes_no_write(self):
        nodes = self.cluster(3)
        nodes[0].put("sys/mounts/kv", {"type": "kv"})
        nodes[0].put("kv/a", {"v": "1"})
        nodes[1].kill()
        nodes[2].kill()
        def refused():
            connection = nodes[0].connection()
            connection.timeout = 5
            try:
                answer = nodes[0].request("PUT", "kv/a", {"v": "2"}, connection=connection)
                return answer.status >= 500
            except OSError:
                return True
        self.until("a write is refused", refused)
        self.until("a read is refused", lambda: nodes[0].request("GET", "kv/a").status >= 500)
        nodes[1].start().give_keys()
        self.until("a write", lambda: nodes[0].put("kv/a", {"v": "3"}))

    def test_all_are_ended_and_started_again(self):
        nodes = self.cluster(3)
        nodes[0].put("sys/mounts/kv", {"type": "kv"})
        nodes[0].put("kv/a", {"v": "1"})
        for node in nodes:
            self.assertEqual(node.stop(), 0)
        for node in nodes:
            node.start().give_keys()
        self.the_active(nodes)
        for node in nodes:
            self.until("a read", lambda n=node: n.get("kv/a").data == {"v": "1"})

    def test_a_frozen_leader_takes_no_write_when_it_wakes(self):
        nodes = self.cluster(3)
        nodes[0].put("sys/mounts/kv", {"type": "kv"})
        nodes[0].process.send_signal(signal.SIGSTOP)
        try:
            self.until("another is active", lambda: nodes[1].active() or nodes[2].active())
            self.until("a write", lambda: nodes[1].put("kv/a", {"v": "new"}))
        finally:
            nodes[0].process.send_signal(signal.SIGCONT)
        self.until("it reads what is new", lambda: nodes[0].get("kv/a").data == {"v": "new"})
        self.assertEqual(sum(n.active() for n in nodes), 1)


class Members(ClusterJourney):
    """Removing, replacing, autopilot, losing the quorum."""

    def test_a_removed_node_knows_it_and_says_so(self):
        nodes = self.cluster(3)
        nodes[0].put("sys/storage/raft/remove-peer", {"server_id": "n3"})
        self.assertEqual(set(nodes[0].peers()), {"n1", "n2"})
        def told():
            answer = nodes[2].request("GET", "sys/mounts")
            return answer.status >= 400 and "remove" in answer.raw.decode() + nodes[2].log_text()
        self.until("n3 knows it", told)
        self.assertEqual(nodes[2].stop(), 0)
        nodes[2].start()
        answer = nodes[2].give_keys()
        self.assertIn("remove", answer.raw.decode() + nodes[2].log_text())
        self.assertEqual(set(nodes[0].peers()), {"n1", "n2"})

    def test_a_removed_node_joins_again_when_it_is_empty(self):
        nodes = self.cluster(3)
        nodes[0].put("sys/mounts/kv", {"type": "kv"})
        nodes[0].put("kv/a", {"v": "1"})
        done = nodes[1].cli("operator", "raft", "remove-peer", "n3")
        self.assertEqual(done.stdout, "Peer removed successfully!\n", done.stderr)
        nodes[2].kill()
        nodes[2].wipe()
        nodes[2].join = nodes[:2]
        nodes[2].configure().start()
        self.until("n3 may be unsealed", lambda: nodes[2].give_keys().status == 200)
        self.until_voters(nodes[0], "n3")
        self.until("a read", lambda: nodes[2].get("kv/a").data == {"v": "1"})

    def test_the_active_node_removes_itself(self):
        nodes = self.cluster(3)
        nodes[0].put("sys/storage/raft/remove-peer", {"server_id": "n1"})
        after = self.the_active(nodes[1:])
        self.assertEqual(set(after.peers()), {"n2", "n3"})
        after.put("sys/mounts/kv", {"type": "kv"})

    def test_a_node_that_lost_its_data_joins_under_its_name(self):
        nodes = self.cluster(3)
        nodes[2].kill()
        nodes[2].wipe()
        nodes[2].join = nodes[:2]
        nodes[2].configure().start()
        self.until("n3 may be unsealed", lambda: nodes[2].give_keys().status == 200)
        self.until("n3 is a standby", lambda: nodes[2].health() in (429, 473))
        self.until_voters(nodes[0], "n3")

    def test_a_node_comes_back_at_another_address(self):
        nodes = self.cluster(3)
        nodes[2].stop()
        nodes[2].port = harness.free_port()
        nodes[2].configure().start().give_keys()
        self.until("n3 is a standby", lambda: nodes[2].health() in (429, 473))
        self.until("its address is known",
                   lambda: nodes[0].peers()["n3"]["address"] == nodes[2].cluster)

    def test_autopilot_state(self):
        nodes = self.cluster(3)
        def healthy():
            state = nodes[1].get("sys/storage/raft/autopilot/state").data
            return state if state["healthy"] else None
        state = self.until("all are healthy", healthy)
        self.assertEqual((state["failure_tolerance"], state["leader"]), (1, "n1"))
        self.assertEqual(sorted(state["voters"]), ["n1", "n2", "n3"])
        self.assertEqual(state["servers"]["n2"]["status"], "voter")
        self.assertEqual(state["servers"]["n1"]["status"], "leader")
        nodes[2].kill()
        state = self.until("n3 is not", lambda: next(
            (s for s in [nodes[0].get("sys/storage/raft/autopilot/state").data]
             if not s["servers"]["n3"]["healthy"]), None))
        self.assertFalse(state["healthy"])
        self.assertEqual(state["failure_tolerance"], 0)

    def test_autopilot_configuration_is_kept_and_checked(self):
        nodes = self.cluster(2)
        done = nodes[1].cli("operator", "raft", "autopilot", "set-config",
                            "-dead-server-last-contact-threshold=5m", "-min-quorum=3")
        self.assertEqual(done.returncode, 0, done.stderr)
        nodes[0].put("sys/step-down")
        after = self.the_active(nodes[1:])
        config = after.get("sys/storage/raft/autopilot/configuration").data
        self.assertEqual((config["dead_server_last_contact_threshold"], config["min_quorum"]),
                         ("5m0s", 3))
        bad = after.request("POST", "sys/storage/raft/autopilot/configuration",
                            {"dead_server_last_contact_threshold": "5s"})
        self.assertEqual(bad.status, 400)

    def test_peers_json_after_a_lost_quorum(self):
        nodes = self.cluster(3)
        nodes[0].put("sys/mounts/kv", {"type": "kv"})
        nodes[0].put("kv/a", {"v": "1"})
        for node in nodes:
            node.kill()
        left = nodes[1]
        (left.data / "raft" / "peers.json").write_text(json.dumps(
            [{"id": "n2", "address": left.cluster, "non_voter": False}]))
        left.start().give_keys()
        self.until("it is active", left.active)
        self.assertEqual(left.get("kv/a").data, {"v": "1"})
        self.assertEqual(set(left.peers()), {"n2"})
        self.assertFalse((left.data / "raft" / "peers.json").exists())
        self.let_join(left, "n4")
        left.put("kv/a", {"v": "2"})

    def test_a_broken_peers_json_changes_nothing(self):
        for text in ("{", "[]", '[{"id": "", "address": "x"}]', '[{"id": "n9"}]'):
            with self.subTest(text):
                node = self.first(f"n{len(self.servers)}")
                node.stop()
                (node.data / "raft" / "peers.json").write_text(text)
                node.start()
                answer = node.give_keys()
                self.assertGreaterEqual(answer.status, 400, answer)
                self.assertEqual(node.health(), 503)
                node.stop()
                self.assertIn("peers.json", node.log_text())
                (node.data / "raft" / "peers.json").unlink()
                node.start().unseal()

    def test_ha_status(self):
        nodes = self.cluster(2)
        rows = nodes[1].get("sys/ha-status").data["nodes"]
        self.assertEqual([r["active_node"] for r in sorted(rows, key=lambda r: r["cluster_address"]
                          != f"https://{nodes[0].cluster}")], [True, False])


class Snapshots(ClusterJourney):
    """Saving and restoring."""

    def save(self, node):
        answer = node.get("sys/storage/raft/snapshot")
        return answer.raw

    def restore(self, node, archive, force=False):
        connection = node.connection()
        path = "/v1/sys/storage/raft/snapshot" + ("-force" if force else "")
        connection.request("POST", path, archive, {"X-Vault-Token": node.root})
        response = connection.getresponse()
        return harness.Answer(response, response.read())

    def test_an_archive_is_laid_out_as_vaults(self):
        node = self.first()
        with tarfile.open(fileobj=io.BytesIO(self.save(node)), mode="r:gz") as archive:
            files = {m.name: archive.extractfile(m).read() for m in archive.getmembers()}
        self.assertEqual(set(files), {"meta.json", "state.bin", "SHA256SUMS", "SHA256SUMS.sealed"})
        for line in files["SHA256SUMS"].decode().split("\n"):
            if line:
                digest, name = line.split()
                self.assertEqual(hashlib.sha256(files[name]).hexdigest(), digest)
        self.assertEqual(json.loads(files["meta.json"])["ID"], "bolt-snapshot")

    def test_saved_at_a_standby_and_restored_there_all_nodes_go_back(self):
        nodes = self.cluster(3)
        nodes[0].put("sys/mounts/kv", {"type": "kv"})
        nodes[0].put("kv/a", {"v": "before"})
        file = self.dir / "one.snap"
        done = nodes[1].cli("operator", "raft", "snapshot", "save", str(file))
        self.assertEqual(done.returncode, 0, done.stderr)
        nodes[0].put("kv/a", {"v": "after"})
        nodes[0].put("kv/b", {"v": "after"})
        done = nodes[2].cli("operator", "raft", "snapshot", "restore", str(file))
        self.assertEqual(done.returncode, 0, done.stderr)
        for node in nodes:
            self.until("what was before", lambda n=node: n.get("kv/a").data == {"v": "before"})
            self.assertEqual(node.request("GET", "kv/b").status, 404)
        self.assertEqual(set(nodes[0].peers()), {"n1", "n2", "n3"})
        nodes[1].put("kv/c", {"v": "goes on"})

    def test_torn_and_altered_archives_change_nothing(self):
        node = self.first()
        node.put("sys/mounts/kv", {"type": "kv"})
        node.put("kv/a", {"v": "1"})
        archive = self.save(node)
        node.put("kv/a", {"v": "2"})
        altered = bytearray(archive)
        altered[len(archive) // 2] ^= 1
        for bad in (b"", b"\0\0\0", archive[:-1], archive[:len(archive) // 2], bytes(altered),
                    self.repacked(archive)):
            for force in (False, True):
                answer = self.restore(node, bad, force)
                self.assertGreaterEqual(answer.status, 400, answer)
                self.assertEqual(node.get("kv/a").data, {"v": "2"})

    @staticmethod
    def repacked(archive):
        """A whole archive whose state has another checksum than its lists say."""
        out = io.BytesIO()
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as old, \
                tarfile.open(fileobj=out, mode="w:gz") as new:
            for member in old.getmembers():
                data = old.extractfile(member).read()
                if member.name == "state.bin":
                    data = data[:-1] + bytes([data[-1] ^ 1])
                new.addfile(member, io.BytesIO(data))
        return out.getvalue()

    def test_another_clusters_archive_takes_force_and_then_its_keys_and_its_threshold_hold(self):
        old = self.first("old", shares=5, threshold=3)
        old.put("sys/mounts/kv", {"type": "kv"})
        old.put("kv/a", {"v": "old"})
        archive = self.save(old)
        nodes = self.cluster(2)
        refused = self.restore(nodes[0], archive)
        self.assertGreaterEqual(refused.status, 400)
        self.assertEqual(nodes[0].health(), 200)
        self.assertEqual(self.restore(nodes[0], archive, force=True).status, 204)
        for node in nodes:
            self.until("it is sealed", lambda n=node: n.health() == 503)
            status = node.request("GET", "sys/seal-status", token="").body
            self.assertEqual((status["t"], status["n"]), (3, 5))
        for node in nodes:
            node.take_keys(old)
            self.assertEqual(node.give_keys().status, 200)
        self.the_active(nodes)
        for node in nodes:
            self.until("the old data", lambda n=node: n.get("kv/a").data == {"v": "old"})
        self.assertEqual(set(nodes[0].peers()), {"n1", "n2"})

    def test_a_node_that_was_away_catches_up_by_a_snapshot(self):
        few = "trailing_logs = 20\n  snapshot_threshold = 20"
        nodes = self.cluster(3, raft=few)
        nodes[0].put("sys/mounts/kv", {"type": "kv"})
        nodes[2].kill()
        for number in range(200):
            nodes[0].put(f"kv/k{number}", {"n": number})
        nodes[2].start().give_keys()
        self.until("it has all", lambda: nodes[2].get("kv/k199").data == {"n": 199})
        self.agree(nodes)

    def test_the_snapshot_of_vault_1_8_restores(self):
        fixture = SHARED / "fixtures"
        if not (fixture / "vault-1.8" / "check.sh").exists():
            self.skipTest(f"{fixture} is not here; COFFER_SHARED names its folder")
        copy = self.dir / "vault-1.8"
        shutil.copytree(fixture / "vault-1.8", copy)
        env = {**harness.clean_environment(self.dir), "PORT": str(harness.free_port()),
               "TMPDIR": str(self.dir)}
        done = subprocess.run([str(copy / "check.sh"), harness.binary, str(copy), "raft"], env=env,
                              text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=300, check=False)
        # engines that are not in this version answer so; anything else is a failure
        absent = re.compile(r"no handler for route|unsupported path|auth/approle/login")
        failures = [line for line in done.stdout.splitlines()
                    if line.startswith("FAIL") and not absent.search(line)]
        self.assertEqual(failures, [], done.stdout[-3000:])
        self.assertRegex(done.stdout, r"(?m)^[1-9]\d* passed")


class Authority:
    """A certificate authority in a directory."""

    def __init__(self, folder, name="ca"):
        self.folder, self.name = Path(folder), name
        self.cert, self.key = str(self.folder / f"{name}.pem"), str(self.folder / f"{name}.key")
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                     "-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout", self.key,
                     "-out", self.cert)

    @staticmethod
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def issue(self, address):
        """Certificate and key for an address, as paths."""
        base = str(self.folder / f"{self.name}-{address}")
        extensions = Path(base + ".ext")
        extensions.write_text(f"subjectAltName=IP:{address}\n")
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                     "-subj", f"/CN={address}", "-keyout", base + ".key", "-out", base + ".csr")
        self.openssl("x509", "-req", "-in", base + ".csr", "-CA", self.cert, "-CAkey", self.key,
                     "-CAcreateserial", "-days", "2", "-extfile", str(extensions),
                     "-out", base + ".pem")
        return base + ".pem", base + ".key"
