"""operator migrate from and to integrated storage."""
import shutil
import subprocess

import harness
from nodes import Nodes


class Migrate(Nodes):
    """The copy is served, a cluster grows from it, and a member of a cluster can be read."""

    def migrate(self, source, destination, *arguments, cluster_addr=None):
        """Each of the two is (type, directory, more lines)."""
        path = self.dir / "migrate.hcl"
        text = "".join(f'{name} "{kind}" {{\n  path = "{data}"\n  {more}\n}}\n'
                       for name, (kind, data, more) in (("storage_source", source),
                                                        ("storage_destination", destination)))
        if cluster_addr:
            text += f'cluster_addr = "https://{cluster_addr}"\n'
        path.write_text(text)
        return subprocess.run([harness.binary, "operator", "migrate", f"-config={path}",
                               *arguments], env=harness.clean_environment(self.dir),
                              cwd=self.dir, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=60, check=False)

    def migrates(self, *arguments, **more):
        done = self.migrate(*arguments, **more)
        self.assertEqual((done.returncode, done.stdout),
                         (0, "Success! All of the keys have been migrated.\n"), done.stderr)
        return done

    def fill(self, server):
        server.put("sys/mounts/kv", {"type": "kv"})
        for i in range(60):
            server.put(f"kv/some/{i}", {"n": str(i)})

    def filled(self, storage):
        """A server of one's own, filled and stopped."""
        server = self.server("source", storage=storage).up()
        self.fill(server)
        self.assertEqual(server.stop(), 0)
        return server

    def own(self, name):
        return f'node_id = "{name}"'

    def holds_all(self, server, source):
        """Opens with the source's keys, and has what the source had."""
        server.keys, server.root, server.threshold = source.keys, source.root, source.threshold
        server.unseal()
        for i in (0, 30, 59):
            self.assertEqual(server.get(f"kv/some/{i}").data, {"n": str(i)})

    def test_a_server_becomes_the_first_node_of_a_cluster(self):
        for kind in ("file", "lmdb"):
            with self.subTest(source=kind):
                source, node = self.filled(kind), self.node(f"first-{kind}")
                done = self.migrates((kind, source.data, ""),
                                     ("raft", node.data, self.own(node.name)),
                                     cluster_addr=node.cluster)
                self.assertIn(f"node_id={node.name} cluster_addr={node.cluster}", done.stderr)
                self.holds_all(self.answering(node.spawn()), source)
                self.assertEqual(self.peers(node), {node.name: (node.cluster, "leader", "true")})
                second = self.joined(self.answers(f"second-{kind}"), node)
                self.assertEqual(second.get("kv/some/7").data, {"n": "7"})
                for server in (node, second):
                    self.assertEqual(server.stop(), 0)
                self.assertEqual(source.start().unseal().get("kv/some/7").data, {"n": "7"})
                source.stop()
                shutil.rmtree(source.dir)

    def test_the_only_node_becomes_a_server_without_others(self):
        node = self.answers("one")
        node.init().unseal()
        self.fill(node)
        node.kill()         # its log is ahead of its store
        for kind in ("file", "lmdb"):
            with self.subTest(destination=kind):
                copy = self.server(f"copy-{kind}", storage=kind)
                self.migrates(("raft", node.data, self.own("one")), (kind, copy.data, ""))
                self.holds_all(copy.start(), node)
        node.start().unseal()
        self.assertEqual(node.get("kv/some/59").data, {"n": "59"})

    def test_a_member_of_a_cluster_is_read_but_not_locked(self):
        first = self.answers("one")
        first.init().unseal()
        second = self.joined(self.answers("two"), first)
        self.fill(first)
        for node in (second, first):
            self.assertEqual(node.stop(), 0)
        for node in (first, second):
            with self.subTest(node=node.name):
                copy = self.server(f"copy-{node.name}", storage="lmdb")
                done = self.migrates(("raft", node.data, self.own(node.name)),
                                     ("lmdb", copy.data, ""))
                self.assertIn("cannot be locked: let no server of the cluster run meanwhile: "
                              "members=2", done.stderr)
                self.holds_all(copy.start(), first)
        reset = self.migrate(("raft", first.data, self.own("one")), ("lmdb", "/nowhere", ""),
                             "-reset")
        self.assertEqual(reset.returncode, 0, reset.stderr)
        for node in (first, second):
            self.answering(node.spawn())
            self.run_ok(node, "operator", "unseal", first.keys[0])
        self.eventually(lambda: len(self.peers(first)) == 2)

    def test_a_copy_of_a_cluster_becomes_a_cluster_of_its_own(self):
        first, fresh = self.answers("one"), self.node("fresh")
        first.init().unseal()
        self.fill(first)
        self.joined(self.answers("two"), first).stop()
        first.stop()
        self.migrates(("raft", first.data, self.own("one")),
                      ("raft", fresh.data, self.own("fresh")), cluster_addr=fresh.cluster)
        self.holds_all(self.answering(fresh.spawn()), first)
        self.assertEqual(self.peers(fresh), {"fresh": (fresh.cluster, "leader", "true")})

    def test_a_copy_that_was_stopped_goes_on_where_it_was(self):
        source, node = self.filled("file"), self.node("one")
        sides = ("file", source.data, ""), ("raft", node.data, self.own("one"))
        self.migrates(*sides, "-start=logical/", cluster_addr=node.cluster)
        again = self.migrate(*sides, cluster_addr=node.cluster)
        self.assertEqual(again.returncode, 2)
        self.assertIn("storage_destination holds data already", again.stderr)
        self.migrates(*sides, "-start=a", cluster_addr=node.cluster)
        self.holds_all(self.answering(node.spawn()), source)

    def test_what_cannot_be_copied_is_told_and_copies_nothing(self):
        source, node = self.answers("one"), self.node("two")
        source.init().unseal()
        fresh = ("lmdb", self.dir / "to", "")
        (self.dir / "to").mkdir()
        (self.dir / "empty").mkdir()
        mine = ("raft", source.data, self.own("one"))
        self.refused("is in use", mine, fresh)
        source.stop()
        for reason, sides, address in (
                ('these are data of the node "one", not of "six"',
                 (("raft", source.data, self.own("six")), fresh), None),
                ("storage_source holds no data",
                 (("raft", self.dir / "empty", self.own("six")), fresh), None),
                ("cluster_addr is required", (mine, ("raft", node.data, self.own("two"))), None),
                ("'performance_multiplier' must be a whole number",
                 (mine, ("raft", node.data, 'performance_multiplier = "fast"')), node.cluster)):
            with self.subTest(reason=reason):
                self.refused(reason, *sides, cluster_addr=address)
        self.answering(source.spawn()).unseal()

    def refused(self, reason, *sides, **more):
        done = self.migrate(*sides, **more)
        self.assertIn(done.returncode, (1, 2), done.stdout)
        self.assertIn(reason, done.stderr)

    def test_a_value_that_is_too_large_is_named(self):
        source, node = self.filled("file"), self.node("one")
        (source.data / "logical" / "_big").write_text('{"Value":"' + "AAAA" * 20000 + '"}')
        sides = ("file", source.data, ""), ("raft", node.data,
                                            self.own("one") + "\n  max_entry_size = 30000")
        self.refused('the value of "logical/big" (a larger max_entry_size', *sides,
                     cluster_addr=node.cluster)
        wide = (sides[1][0], sides[1][1], self.own("one") + "\n  max_entry_size = 70000")
        self.migrates(sides[0], wide, "-start=a", cluster_addr=node.cluster)
        self.holds_all(self.answering(node.spawn()), source)
