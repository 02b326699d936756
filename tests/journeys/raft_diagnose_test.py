"""operator diagnose of a node with integrated storage: what it finds, and no trace is left."""
import json
import re
import shutil
import socket
import subprocess

import harness
from nodes import Nodes

TWO = "2 voters found. Please ensure that Vault has access to an odd number of voter nodes."


class Diagnose(Nodes):
    """Nodes that are stopped, or were never started."""

    def setUp(self):
        super().setUp()
        self.one = self.made("one")

    def diagnose(self, node, *more):
        """{name: check}; the exit status in self.status_code."""
        done = subprocess.run([harness.binary, "operator", "diagnose", f"-config={node.config}",
                               "-format=json", *more],
                              env=harness.clean_environment(node.dir), stdout=subprocess.PIPE,
                              timeout=60, check=False)
        self.code = done.returncode
        found, left = {}, [json.loads(done.stdout)]
        while left:
            check = left.pop()
            found[check["name"]] = check
            left += check.get("children", [])
        return found

    def expect(self, checks, name, status, text=""):
        check = checks[name]
        said = " ".join([check.get("message", ""), *check.get("warnings", [])])
        self.assertEqual(check["status"], status, check)
        self.assertIn(text, said)

    def change(self, pattern, text):
        config, n = re.subn(pattern, lambda _: text, self.one.config.read_text(), count=1)
        self.assertEqual(n, 1, pattern)
        self.one.config.write_text(config)

    def traces(self, directory):
        """Names, sizes and times of all that is in a directory."""
        return {str(p.relative_to(directory)): (p.stat().st_size, p.stat().st_mtime_ns,
                                                p.stat().st_ctime_ns)
                for p in [directory, *directory.rglob("*")]}

    def cluster(self):
        """Two nodes that were stopped."""
        self.answering(self.one.spawn()).init().unseal()
        self.two = self.joined(self.node("two"), self.one)
        for node in (self.two, self.one):
            self.assertEqual(node.stop(), 0)

    def test_a_node_that_was_never_started(self):
        checks = self.diagnose(self.one)
        self.expect(checks, "Create Storage Backend", "skipped", "no data of a node yet")
        self.expect(checks, "Check Raft Files", "ok", "There are none yet.")
        self.expect(checks, "Check Cluster Address", "ok", self.one.cluster)
        self.expect(checks, "Create Cluster Listener", "ok", "is free")
        self.expect(checks, "Check Disk Usage", checks["Check Disk Usage"]["status"], "free")
        self.assertNotIn("Check Storage Access", checks)
        self.assertEqual(list(self.one.data.iterdir()), [])
        self.answering(self.one.spawn()).init().unseal()

    def test_it_leaves_no_trace(self):
        self.cluster()
        before = self.traces(self.one.data)
        self.diagnose(self.one)
        self.assertEqual(self.traces(self.one.data), before)
        for node in (self.one, self.two):
            self.answering(node.spawn())
            self.run_ok(node, "operator", "unseal", self.one.keys[0])
        self.eventually(lambda: len(self.peers(self.one)) == 2)

    def test_members_are_asked_for(self):
        self.cluster()
        checks = self.diagnose(self.one)
        self.expect(checks, "Create Storage Backend", "ok", 'Node "one" has what its cluster')
        self.expect(checks, "Check For Raft Quorum", "warn", TWO)
        self.expect(checks, "two", "warn", f"{self.two.cluster} cannot be reached: Connection "
                                           "refused")
        self.two.spawn()
        self.answering(self.two)
        self.expect(self.diagnose(self.one), "two", "ok",
                    f"{self.two.cluster} can be reached.")

    def test_a_cluster_of_one(self):
        self.answering(self.one.spawn()).init().unseal()
        self.one.stop()
        self.expect(self.diagnose(self.one), "Check For Raft Quorum", "warn",
                    "Only one server node found.")

    def test_a_running_server_is_told_apart(self):
        self.answering(self.one.spawn()).init().unseal()
        checks = self.diagnose(self.one)
        self.expect(checks, "Create Storage Backend", "fail", "is in use by another process")
        self.assertIn("-skip=storage", checks["Create Storage Backend"]["advice"])
        self.assertEqual(self.code, 4)
        self.diagnose(self.one, "-skip=storage", "-skip=listener")
        self.assertEqual(self.one.get("sys/mounts").status, 200)

    def test_addresses_that_cannot_be(self):
        for address, text in (("https://0.0.0.0:8201", "everybody's address"),
                              ("https://[::]:8201", "everybody's address"),
                              ("https://no-such-host.invalid:8201", "is not known"),
                              ("nonsense", "is no address")):
            with self.subTest(address=address):
                self.change("cluster_addr = .*", f'cluster_addr = "{address}"')
                self.expect(self.diagnose(self.one), "Check Cluster Address", "fail", text)
        self.change("cluster_addr = .*", "")
        self.expect(self.diagnose(self.one), "Check Cluster Address", "warn",
                    f"cluster_addr is not set; {self.one.cluster} is taken")

    def test_the_address_of_another_member(self):
        self.cluster()
        self.change("cluster_addr = .*", f'cluster_addr = "https://{self.two.cluster}"')
        checks = self.diagnose(self.one)
        self.expect(checks, "two", "fail", "is the cluster_addr of this node too")
        self.change("cluster_addr = .*", 'cluster_addr = "https://127.0.0.1:9"')
        self.expect(self.diagnose(self.one), "Check Raft Members", "warn",
                    f"The others know this node at {self.one.cluster}")

    def test_another_name_than_before(self):
        self.cluster()
        self.change('node_id = "one"', 'node_id = "six"')
        self.expect(self.diagnose(self.one), "Check Raft Members", "fail", 'This node, "six"')

    def test_a_folder_that_is_missing_or_open_to_all(self):
        self.one.data.chmod(0o755)
        self.expect(self.diagnose(self.one), "Check Raft Folder Permissions", "warn",
                    "too many permissions")
        self.one.data.rmdir()
        self.expect(self.diagnose(self.one), "Check Raft Folder Permissions", "fail",
                    "No such file")
        self.assertFalse(self.one.data.exists())

    def test_files_of_a_real_vault(self):
        (self.one.data / "vault.db").write_bytes(
            bytes(16) + bytes.fromhex("edda0ced0200000000100000") + bytes(32768))
        self.expect(self.diagnose(self.one), "Create Storage Backend", "fail",
                    "is a BoltDB file, as Vault writes it")
        self.assertEqual(self.code, 4)

    def test_a_lock_of_a_migration(self):
        source = self.server("source", storage="file").up()
        source.stop()
        config = self.dir / "m.hcl"
        config.write_text(f'storage_source "file" {{ path = "{source.data}" }}\n'
                          f'storage_destination "raft" {{\n path = "{self.one.data}"\n'
                          f' node_id = "one"\n max_entry_size = 1024\n}}\n'
                          f'cluster_addr = "https://{self.one.cluster}"\n')
        (source.data / "zz").mkdir()
        (source.data / "zz" / "_big").write_text('{"Value":"' + "AAAA" * 1000 + '"}')
        done = self.one.cli("operator", "migrate", f"-config={config}")
        self.assertEqual(done.returncode, 2, done.stdout)
        self.expect(self.diagnose(self.one), "Check Migration Lock", "fail",
                    "storage migration in progress")

    def test_peers_json(self):
        self.cluster()
        peers = self.one.data / "raft" / "peers.json"
        peers.write_text(json.dumps([{"id": "one", "address": self.one.cluster,
                                      "non_voter": False}]))
        self.expect(self.diagnose(self.one), "Check Raft Peers File", "warn",
                    f"the next start makes these the only members: one ({self.one.cluster})")
        peers.write_text("[]")
        self.expect(self.diagnose(self.one), "Check Raft Peers File", "fail",
                    "must be a list of nodes")
        self.assertTrue(peers.exists())

    def test_targets_of_retry_join(self):
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            good = f"http://127.0.0.1:{listening.getsockname()[1]}"
            self.change("node_id = ", f'''retry_join {{ leader_api_addr = "{good}" }}
  retry_join {{ leader_api_addr = "http://127.0.0.1:1" }}
  retry_join {{ leader_api_addr = "{self.one.address}" }}
  retry_join {{
    leader_api_addr = "https://127.0.0.1:2"
    leader_ca_cert_file = "/nowhere/ca.pem"
  }}
  node_id = ''')
            checks = self.diagnose(self.one)
        self.expect(checks, good, "ok", "can be reached.")
        self.expect(checks, "http://127.0.0.1:1", "warn", "cannot be reached: Connection refused")
        self.expect(checks, self.one.address, "skipped", "the node itself")
        self.expect(checks, "https://127.0.0.1:2", "fail", "/nowhere/ca.pem: No such file")

    def test_unknown_keys(self):
        self.change("node_id = ", "pth = 1\n  node_id = ")
        self.expect(self.diagnose(self.one), "Parse Configuration", "warn",
                    "unknown or unsupported field pth")

    def test_a_removed_node(self):
        self.answering(self.one.spawn()).init().unseal()
        two = self.joined(self.node("two"), self.one)
        self.run_ok(self.one, "operator", "raft", "remove-peer", "two")
        self.eventually(lambda: (two.data / "raft" / "removed").exists())
        two.stop()
        self.expect(self.diagnose(two), "Check Raft Membership", "fail",
                    "has been removed from its cluster")
        shutil.rmtree(two.data)
