"""Who is in the cluster, as sys/ha-status, sys/leader, autopilot and the metrics tell."""
import json
import time

from cluster import ClusterJourney

ECHO = "sys/ha-echo"


class HaStatus(ClusterJourney):
    """The nodes of a cluster, and what they know of each other."""

    def rows(self, node):
        return node.get("sys/ha-status").data["nodes"]

    def by_address(self, node):
        return {row["cluster_address"]: row for row in self.rows(node)}

    def all_told(self, node, count):
        """Wait until every standby has told the active node of itself."""
        return self.until("all have told",
                          lambda: sum(bool(r["last_echo"]) for r in self.rows(node)) == count - 1)

    def test_all_nodes_are_told_of_in_order_by_whichever_is_asked(self):
        nodes = self.cluster(3)
        self.all_told(nodes[0], 3)
        for asked in nodes:
            rows = self.rows(asked)
            self.assertEqual([r["api_address"] for r in rows],
                             sorted(n.address for n in nodes))
            for row in rows:
                node = next(n for n in nodes if n.address == row["api_address"])
                self.assertEqual(row["cluster_address"], f"https://{node.cluster}")
                self.assertEqual(row["active_node"], node is nodes[0])
                self.assertEqual(row["last_echo"] is None, node is nodes[0])
                self.assertEqual(row["version"], "1.8.12")
                self.assertTrue(row["hostname"])

    def test_a_node_that_is_gone_is_heard_no_more(self):
        nodes = self.cluster(3)
        self.all_told(nodes[0], 3)
        nodes[2].kill()
        before = self.by_address(nodes[0])

        def others_went_on():
            after = self.by_address(nodes[0])
            mine, dead = f"https://{nodes[1].cluster}", f"https://{nodes[2].cluster}"
            return (after[mine]["last_echo"] != before[mine]["last_echo"]
                    and after[dead]["last_echo"] == before[dead]["last_echo"])
        self.until("only the living one is heard", others_went_on, 20)

    def test_a_new_active_node_is_told_anew_at_once(self):
        nodes = self.cluster(3)
        self.all_told(nodes[0], 3)
        nodes[0].put("sys/step-down")
        active = self.until("another leads", lambda: next(
            (n for n in nodes[1:] if n.active()), None))
        began = time.monotonic()
        self.all_told(active, 3)
        self.assertLess(time.monotonic() - began, 4.5)
        row = self.by_address(active)[f"https://{nodes[0].cluster}"]
        self.assertEqual((row["active_node"], row["api_address"]), (False, nodes[0].address))

    def test_nobody_but_a_node_tells(self):
        first = self.first()
        lie = {"hostname": "me", "api_address": "http://evil", "cluster_address": "evil:1"}
        for token in ("", None):
            answer = first.request("PUT", ECHO, lie, token=token)
            self.assertIn(answer.status, (400, 404), answer)
        self.assertEqual([r["api_address"] for r in self.rows(first)], [first.address])
        self.assertEqual(first.request("GET", ECHO).status, 404)

    def test_a_server_alone_is_its_only_node(self):
        server = self.server(storage="inmem").up()
        rows = self.rows(server)
        self.assertEqual([(r["api_address"], r["active_node"], r["last_echo"]) for r in rows],
                         [(server.address, True, None)])

    def test_every_node_names_the_active_one(self):
        nodes = self.cluster(3)
        for active in (nodes[0], None):
            if active is None:
                nodes[0].put("sys/step-down")
                active = self.until("another leads", lambda: next(
                    (n for n in nodes[1:] if n.active()), None))
            for node in nodes:
                self.until("it is named", lambda n=node, a=active: (
                    n.leader()["leader_address"], n.leader()["leader_cluster_address"],
                    n.leader()["is_self"]) == (a.address, f"https://{a.cluster}", n is a))

    def test_autopilot_tells_what_vault_tells(self):
        nodes = self.cluster(3)
        state = self.until("all are healthy", lambda: (
            lambda d: d if d["healthy"] else None)(
                nodes[1].get("sys/storage/raft/autopilot/state").data))
        self.assertEqual(set(state), {"healthy", "failure_tolerance", "servers", "leader",
                                      "voters", "non_voters"})
        self.assertEqual((state["failure_tolerance"], state["leader"], state["non_voters"]),
                         (1, "n1", None))
        self.assertEqual(sorted(state["voters"]), ["n1", "n2", "n3"])
        for name, server in state["servers"].items():
            self.assertEqual(set(server), {"id", "name", "address", "node_status", "last_contact",
                                           "last_term", "last_index", "healthy", "stable_since",
                                           "status", "meta"})
            self.assertEqual((server["id"], server["name"], server["meta"]), (name, name, None))
        config = "sys/storage/raft/autopilot/configuration"
        # As recorded of 1.8: taken without min_quorum.
        self.assertEqual(nodes[0].request("PUT", config, {"cleanup_dead_servers": True}).status, 204)
        self.assertTrue(nodes[0].get(config).data["cleanup_dead_servers"])

    def test_metrics_tell_who_is_active(self):
        nodes = self.cluster(2, more="telemetry { disable_hostname = true }")
        def value(node, name):
            body = node.get("sys/metrics").body
            return {g["Name"]: g["Value"] for g in body["Gauges"]}.get(f"vault.{name}")
        for node, active in ((nodes[0], 1), (nodes[1], 0)):
            self.assertEqual(value(node, "core.active"), active)
            self.assertEqual(value(node, "core.performance_standby"), 1 - active)
            self.assertEqual(value(node, "core.unsealed"), 1)
        self.until("autopilot is satisfied", lambda: value(nodes[0], "autopilot.healthy") == 1)
        self.assertEqual(value(nodes[0], "raft.peers"), 2)
        self.assertEqual(value(nodes[0], "autopilot.failure_tolerance"), 0)
        self.assertIsNone(value(nodes[1], "autopilot.healthy"))
        body = nodes[0].get("sys/metrics").body
        self.assertIn("vault.raft.apply", {c["Name"] for c in body["Counters"]})
        self.assertIn("vault.raft.commitTime", {s["Name"] for s in body["Samples"]})
