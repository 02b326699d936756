"""Storage "raft" with mistakes in its configuration: each ends with one sentence that says why."""
import re
import socket
from pathlib import Path

from nodes import Nodes


class Mistakes(Nodes):
    """A server that does not start, and what it says last."""

    def setUp(self):
        super().setUp()
        self.one = self.node("one")

    def change(self, pattern, text):
        """Alter the configuration; the pattern must be there."""
        config, n = re.subn(pattern, lambda _: text, self.one.config.read_text(), count=1)
        self.assertEqual(n, 1, pattern)
        self.one.config.write_text(config)

    def option(self, line):
        self.change("node_id = ", f"{line}\n  node_id = ")

    def refused(self, reason):
        """It ends with status 1, and its last line is the reason."""
        self.assertEqual(self.one.spawn().wait(), 1)
        last = self.one.log_text().strip().splitlines()[-1]
        self.assertIn(reason, last)
        return last

    def test_no_address_for_the_others(self):
        self.change("cluster_addr = .*", "")
        self.change("api_addr = .*", "")
        self.change('address = "127.0.0.1', 'address = "0.0.0.0')
        self.refused('Cluster address must be set when using raft storage: cluster_addr = '
                     '"https://HOST:PORT", by which the other nodes reach this one')

    def test_an_address_that_is_none(self):
        for address in ("nonsense", "https://host", "https://host:port", "https://:8201x",
                        "https://host:0"):
            with self.subTest(address=address):
                self.change("cluster_addr = .*", f'cluster_addr = "{address}"')
                self.refused("is no address: it must be set as in cluster_addr = ")

    def test_no_path(self):
        self.change('path = "[^"]*"', "")
        self.refused("storage raft: 'path' must be set")

    def test_a_path_that_cannot_be_written(self):
        (self.dir / "file").touch()
        for path in (self.dir / "file", "/proc"):
            with self.subTest(path=path):
                self.change('path = "[^"]*"', f'path = "{path}"')
                self.refused("storage raft: 'path' must be a directory in which the server's user "
                             "may write: ")

    def test_files_of_a_real_vault(self):
        page = bytes(16) + bytes.fromhex("edda0ced0200000000100000")
        (self.one.data / "vault.db").write_bytes(page + bytes(32768))
        (self.one.data / "raft").mkdir()
        (self.one.data / "raft" / "raft.db").write_bytes(page + bytes(32768))
        self.refused("is a BoltDB file, as Vault writes it, which cannot be read here; move it "
                     "away, and bring its content over with a snapshot")
        self.assertEqual((self.one.data / "vault.db").read_bytes(), page + bytes(32768))

    def test_two_servers_on_one_path(self):
        other = self.answers("two")
        self.change('path = "[^"]*"', f'path = "{other.data}"')
        self.refused("is in use by another process: stop that one, or give this one a path of its "
                     "own")
        other.init().unseal()

    def test_a_cluster_port_that_is_taken(self):
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", self.one.port + 1))
            taken.listen()
            self.refused("Error listening for other nodes (cluster_address of the listener, else "
                         "the port after its own): listen "
                         f"127.0.0.1:{self.one.port + 1}: Address already in use")

    def test_values_of_the_wrong_kind(self):
        for line, reason in (
                ('performance_multiplier = "fast"', "'performance_multiplier' must be a whole "
                                                    "number from 0 to 10, not 'fast'"),
                ("performance_multiplier = 11", "from 0 to 10, not '11'"),
                ("performance_multiplier = [1]", "from 0 to 10, not '[1]'"),
                ("trailing_logs = -1", "'trailing_logs' must be a whole number"),
                ("max_entry_size = 5", "'max_entry_size' must be a whole number from 1024"),
                ('snapshot_interval = "soon"', "'snapshot_interval' must be a duration"),
                ('autopilot_update_interval = "x"', "autopilot_update_interval: duration"),
                ('retry_join { leader_api_addr = "a:1" }', "must be a member's URL"),
                ("retry_join_as_non_voter = true", "needs a retry_join block")):
            with self.subTest(line=line):
                whole = self.one.config.read_text()
                self.option(line)
                self.refused(reason)
                self.one.config.write_text(whole)

    def test_unknown_keys_are_told_and_do_no_harm(self):
        self.option("pth = 1\n  autopilot_reconcile_interval = \"10s\"")
        self.answering(self.one.spawn()).init().unseal()
        log = self.one.log_text()
        self.assertIn("unknown or unsupported field pth found in configuration at", log)
        self.assertNotIn("autopilot_reconcile_interval", log)

    def test_another_name_than_before_is_told(self):
        self.answering(self.one.spawn()).init().unseal()
        self.one.stop()
        self.change('node_id = "one"', 'node_id = "other"')
        self.answering(self.one.spawn())
        self.assertIn("this node is not among the members of the cluster whose data it has",
                      self.one.log_text())
        self.assertIn("node_id=other members=1 first_member=one", self.one.log_text())
        self.one.stop()
        self.change('node_id = "other"', 'node_id = "one"')
        self.answering(self.one.spawn()).unseal()

    def test_the_environment_names_the_node_and_its_place(self):
        self.one.environment = {"VAULT_RAFT_NODE_ID": "other",
                                "VAULT_RAFT_PATH": str(self.dir / "elsewhere")}
        self.answering(self.one.spawn()).init().unseal()
        self.assertEqual(list(self.peers(self.one)), ["other"])
        self.assertTrue(Path(self.dir / "elsewhere" / "vault.db").exists())
        self.assertEqual(list(self.one.data.iterdir()), [])
