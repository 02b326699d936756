"""What tests of the command line of a cluster share."""
import re
import time

from cluster import ClusterJourney


class Nodes(ClusterJourney):
    """A test with nodes, looked after by the command line."""

    def answers(self, name, **how):
        """One that answers, not yet initialised."""
        return self.answering(self.node(name, **how).spawn())

    def answering(self, node):
        while node.process.poll() is None:
            try:
                node.request("GET", "sys/seal-status", token="")
                return node
            except OSError:
                time.sleep(0.02)
        raise AssertionError(node.log_text())

    def run_ok(self, node, *arguments, stdin=None):
        done = node.cli(*arguments, stdin=stdin)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def eventually(self, what, seconds=20):
        """The first true value of what()."""
        end = time.monotonic() + seconds
        while True:
            value = what()
            if value or time.monotonic() > end:
                self.assertTrue(value, what)
                return value
            time.sleep(0.05)

    def peers(self, node):
        """{name: (address, state, voter)} as the table has it."""
        done = node.cli("operator", "raft", "list-peers")
        rows = [re.split(r" {4,}", line) for line in done.stdout.splitlines()]
        self.assertTrue(done.returncode or rows[0] == ["Node", "Address", "State", "Voter"])
        return {row[0]: tuple(row[1:]) for row in rows[2:]}

    def status(self, node):
        done = node.cli("status")
        return dict(re.split(r" {4,}", line) for line in done.stdout.splitlines()[2:])

    def joined(self, node, leader):
        """Let the node join, unseal it, and wait until it takes part with a vote."""
        self.run_ok(node, "operator", "raft", "join", leader.address)
        node.keys, node.root, node.threshold = leader.keys, leader.root, leader.threshold
        self.run_ok(node, "operator", "unseal", leader.keys[0])
        self.eventually(lambda: self.peers(leader).get(node.name, ("", "", ""))[2] == "true")
        self.eventually(lambda: self.status(node).get("HA Mode") == "standby")
        return node
