"""Clusters for tests: servers with integrated storage that know each other, on 127.0.0.1."""
import time

from harness import READY_S, Journey, Server

LOOK_S = 0.02


class Node(Server):
    """A server with storage raft: its API on a free port, its cluster port the next one."""

    def __init__(self, directory, name, join=(), raft="", more="", listener="tls_disable = true",
                 **how):
        super().__init__(directory, storage="raft", listener=listener, **how)
        self.name, self.join, self.raft, self.more = name, list(join), raft, more
        self.listener = listener
        self.threshold = 1
        self.configure()

    @property
    def cluster(self):
        return f"127.0.0.1:{self.port + 1}"

    def configure(self):
        """Write the configuration as the attributes say."""
        joins = "".join(f"  retry_join {{\n    {self.joining(one)}\n  }}\n" for one in self.join)
        self.config.write_text(
            f'storage "raft" {{\n  path = "{self.data}"\n  node_id = "{self.name}"\n'
            f'  {self.raft}\n{joins}}}\n'
            f'listener "tcp" {{\n  address = "127.0.0.1:{self.port}"\n  {self.listener}\n}}\n'
            f'api_addr = "{self.address}"\ncluster_addr = "https://{self.cluster}"\n'
            f'disable_mlock = true\n{self.more}\n')
        return self

    @staticmethod
    def joining(one):
        """A retry_join block's content: of a node, or as it is."""
        return one if isinstance(one, str) else f'leader_api_addr = "{one.address}"'

    def take_keys(self, other):
        self.keys, self.root, self.threshold = other.keys, other.root, other.threshold
        return self

    # ---- what it says of itself

    def health(self, query=""):
        return self.request("GET", "sys/health" + query, token="").status

    def leader(self):
        return self.request("GET", "sys/leader", token="").body or {}

    def active(self):
        return self.running() and bool(self.leader().get("is_self"))

    def peers(self):
        """Members by name, as rows of raft/configuration."""
        rows = self.get("sys/storage/raft/configuration").data["config"]["servers"]
        return {row["node_id"]: row for row in rows}

    # ---- joining

    def wait(self, seconds=30):
        return super().wait(seconds)

    def give_keys(self):
        """Unseal without waiting for anything."""
        for key in self.keys[:self.threshold]:
            answer = self.request("PUT", "sys/unseal", {"key": key}, token="")
        return answer

    def wipe(self):
        for path in sorted(self.data.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()


class ClusterJourney(Journey):
    """A test with nodes."""

    def node(self, name, **how):
        node = Node(self.dir / name, name, **how)
        self.servers.append(node)
        return node

    def until(self, what, good, seconds=READY_S):
        """Wait for a condition; connections that fail count as not yet."""
        end = time.monotonic() + seconds
        while True:
            try:
                found = good()
            except (OSError, AssertionError, KeyError, TypeError) as error:
                found, told = None, error
            else:
                told = found
            if found:
                return found
            if time.monotonic() > end:
                self.fail(f"{what}: not within {seconds} s: {told!r}")
            time.sleep(LOOK_S)

    def first(self, name="n1", shares=1, threshold=1, **how):
        """A cluster of one."""
        return self.node(name, **how).start().init(shares=shares, threshold=threshold).unseal()

    def let_join(self, leader, name, **how):
        """A node that joins by the API and is unsealed into the cluster."""
        node = self.node(name, **how).take_keys(leader).start()
        answer = node.put("sys/storage/raft/join", {"leader_api_addr": leader.address}, token="")
        self.assertTrue(answer.body["joined"])
        node.give_keys()
        self.until_voters(leader, name)
        self.until(f"{name} is a standby", lambda: node.health() in (429, 473))
        return node

    def until_voters(self, leader, *names):
        self.until(f"{names} are voters",
                   lambda: all(leader.peers()[name]["voter"] for name in names))

    def cluster(self, count=3, **how):
        """Nodes n1 .. of one cluster, n1 active."""
        first = self.first(**how)
        return [first] + [self.let_join(first, f"n{i}", **how) for i in range(2, count + 1)]

    def the_active(self, nodes):
        """The one that is active, soon."""
        return self.until("one is active", lambda: next((n for n in nodes if n.active()), None))

    def agree(self, nodes):
        """Wait until all have applied the same."""
        def same():
            seen = {(n.leader()["raft_committed_index"], n.leader()["raft_applied_index"])
                    for n in nodes}
            return len(seen) == 1
        self.until("all have applied the same", same)
