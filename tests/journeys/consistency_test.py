"""X-Vault-Index: a client asks for the state that its write made, of whichever node."""
import base64
import hashlib
import hmac
import signal

from cluster import ClusterJourney

INDEX = "x-vault-index"
MISSING = {"errors": ["required index state not present"]}


class Consistency(ClusterJourney):
    """State indexes as Vault's clients use them."""

    def filled(self, count=3):
        nodes = self.cluster(count)
        nodes[0].put("sys/mounts/kv", {"type": "kv"})
        return nodes

    @staticmethod
    def parts(text):
        return base64.b64decode(text).decode().split(":")

    def set_key(self, nodes, key):
        """Sign with this key from now on, which only who may write the raw store can make so."""
        self.the_active(nodes).put("sys/raw/core/index-header-hmac-key", {"value": key.decode()})
        old = self.the_active(nodes)
        old.put("sys/step-down")
        self.until("another leads", lambda: old.health() == 473 and self.the_active(nodes))

    def signed(self, key, *parts):
        state = ":".join(parts)
        mac = hmac.new(key, state.encode(), hashlib.sha256).hexdigest()
        return base64.b64encode(f"{state}:{mac}".encode()).decode()

    def test_only_what_may_have_written_tells_an_index_and_it_grows(self):
        first, second, _ = self.filled()
        one = first.put("kv/a", {"v": "1"}).headers[INDEX]
        two = second.put("kv/a", {"v": "2"}).headers[INDEX]      # handed on to the active node
        version, cluster, local, _, mac = self.parts(two)
        self.assertEqual((version, len(mac)), ("v1", 64))
        self.assertEqual(cluster, first.get("sys/health").body["cluster_id"])
        self.assertLess(int(self.parts(one)[2]), int(local))
        for node in (first, second):
            self.assertNotIn(INDEX, node.get("kv/a").headers)
            self.assertNotIn(INDEX, node.get("sys/seal-status").headers)
            self.assertNotIn(INDEX, node.request("LIST", "kv/").headers)
        self.assertNotIn(INDEX, first.put("sys/tools/random/4").headers)
        self.assertIn(INDEX, first.request("DELETE", "kv/a").headers)

    def test_each_node_has_what_was_asked_for(self):
        nodes = self.filled()
        for turn in range(20):
            index = nodes[turn % 3].put("kv/a", {"v": str(turn)}).headers[INDEX]
            for node in nodes:
                answer = node.get("kv/a", headers={INDEX: index})
                self.assertEqual(answer.data, {"v": str(turn)})

    def test_a_use_of_a_token_is_a_write(self):
        first = self.filled(1)[0]
        token = first.put("auth/token/create", {"num_uses": 3}).body["auth"]["client_token"]
        self.assertIn(INDEX, first.get("auth/token/lookup-self", token=token).headers)

    def test_the_newest_of_several_counts(self):
        nodes = self.filled()
        older = nodes[0].put("kv/a", {"v": "1"}).headers[INDEX]
        newer = nodes[0].put("kv/a", {"v": "2"}).headers[INDEX]
        for node in nodes:
            both = {INDEX: f"{newer}, {older}"}
            self.assertEqual(node.get("kv/a", headers=both).data, {"v": "2"})

    def test_a_state_that_there_is_not_is_refused_by_all_nodes(self):
        nodes = self.cluster(2, more="raw_storage_endpoint = true")
        key = b"0123456789abcdef0123456789abcdef"
        self.set_key(nodes, key)
        cluster = nodes[0].get("sys/health?standbyok=true").body["cluster_id"]
        good = self.signed(key, "v1", cluster, "1", "0")
        future = self.signed(key, "v1", cluster, "1000000000", "0")
        foreign = self.signed(key, "v1", "another", "1", "0")
        for node in nodes:
            self.assertEqual(node.request("GET", "sys/mounts", headers={INDEX: good}).status, 200)
            for wanted in (future, foreign, f"{good},{future}"):
                for how in ({}, {"X-Vault-Inconsistent": "fail"},
                            {"X-Vault-Inconsistent": "forward-active-node"}):
                    answer = node.request("GET", "sys/mounts", headers={INDEX: wanted, **how})
                    self.assertEqual((answer.status, answer.body), (412, MISSING))
            before = node.leader()["raft_applied_index"]
            answer = node.request("PUT", "sys/mounts/never", {"type": "kv"},
                                  headers={INDEX: future})
            self.assertEqual(answer.status, 412)
            self.assertEqual(node.leader()["raft_applied_index"], before)

    def test_what_is_no_index_is_refused_by_all_nodes(self):
        nodes = self.filled(2)
        good = nodes[0].put("kv/a", {"v": "1"}).headers[INDEX]
        forged = base64.b64encode(base64.b64decode(good)[:-1] + b"x").decode()
        stolen = self.signed(b"k" * 32, *self.parts(good)[:4])
        for node in nodes:
            for text in ("", "x", "!!!", good[:-4], forged, stolen):
                answer = node.request("GET", "kv/a", headers={INDEX: text})
                self.assertEqual((answer.status, len(answer.body["errors"])), (400, 1), text)

    def test_an_index_outlives_its_leader_and_a_restart(self):
        nodes = self.filled()
        index = nodes[0].put("kv/a", {"v": "1"}).headers[INDEX]
        nodes[0].kill()
        active = self.the_active(nodes[1:])
        for node in nodes[1:]:
            self.assertEqual(node.get("kv/a", headers={INDEX: index}).data, {"v": "1"})
        later = active.put("kv/a", {"v": "2"}).headers[INDEX]
        self.assertGreater(int(self.parts(later)[2]), int(self.parts(index)[2]))
        nodes[0].start().give_keys()
        self.until("it is back", lambda: nodes[0].health() == 473)
        self.assertEqual(nodes[0].get("kv/a", headers={INDEX: later}).data, {"v": "2"})

    def test_a_node_that_was_away_answers_no_older_state(self):
        nodes = self.filled()
        nodes[2].process.send_signal(signal.SIGSTOP)
        try:
            index = nodes[0].put("kv/a", {"v": "1"}).headers[INDEX]
        finally:
            nodes[2].process.send_signal(signal.SIGCONT)
        for how in ("fail", "forward-active-node"):
            answer = nodes[2].request("GET", "kv/a",
                                      headers={INDEX: index, "X-Vault-Inconsistent": how})
            self.assertIn(answer.status, (200, 412) if how == "fail" else (200,))
            if answer.status == 200:
                self.assertEqual(answer.data, {"v": "1"})

    def test_a_store_alone_knows_no_indexes(self):
        server = self.server(storage="inmem").up()
        server.put("sys/mounts/kv", {"type": "kv"})
        self.assertNotIn(INDEX, server.put("kv/a", {"v": "1"}).headers)
        self.assertEqual(server.get("kv/a", headers={INDEX: "anything"}).data, {"v": "1"})
