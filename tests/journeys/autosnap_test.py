"""Scheduled snapshots, as docs/cluster.md tells of them."""
import os
import re
import stat

from cluster import ClusterJourney

CONFIG = "sys/storage/raft/snapshot-auto/config"
STATUS = "sys/storage/raft/snapshot-auto/status"
NEVER = "0001-01-01T00:00:00Z"


class Autosnap(ClusterJourney):
    """One directory that all nodes share, unless a test says otherwise."""

    def setUp(self):
        super().setUp()
        self.kept = self.dir / "kept"
        self.kept.mkdir()

    def fields(self, **more):
        return {"interval": 3600, "retain": 2, "path_prefix": str(self.kept),
                "storage_type": "local", "local_max_space": 100000000, **more}

    def schedule(self, node, name="hourly", **more):
        node.put(f"{CONFIG}/{name}", self.fields(**more))

    def files(self):
        return sorted(p.name for p in self.kept.iterdir())

    def status(self, node, name="hourly"):
        return node.get(f"{STATUS}/{name}").data

    def taken(self, node, count=1, name="hourly"):
        """Wait until that many are there, and the status of the last one."""
        self.until(f"{count} taken", lambda: len(self.files()) >= count
                   and self.status(node, name)["last_snapshot_end"] != NEVER, 20)
        return self.status(node, name)

    def test_a_schedule_is_written_read_listed_and_deleted(self):
        first = self.first()
        self.assertEqual(first.request("LIST", CONFIG).status, 404)
        done = first.cli("write", f"{CONFIG}/daily", "interval=24h", "retain=7",
                         f"path_prefix={self.kept}/", "storage_type=local",
                         "local_max_space=10000000")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(first.get(f"{CONFIG}/daily").data,
                         {"file_prefix": "vault-snapshot", "interval": 86400,
                          "local_max_space": 10000000, "path_prefix": f"{self.kept}/",
                          "retain": 7, "storage_type": "local"})
        first.put(f"{CONFIG}/daily", {"retain": 3})
        changed = first.get(f"{CONFIG}/daily").data
        self.assertEqual((changed["retain"], changed["interval"]), (3, 86400))
        self.assertEqual(first.request("LIST", CONFIG).data, {"keys": ["daily"]})
        first.ok("DELETE", f"{CONFIG}/daily")
        for path in (f"{CONFIG}/daily", f"{STATUS}/daily"):
            self.assertEqual(first.request("GET", path).status, 404)

    def test_what_cannot_work_is_refused_and_changes_nothing(self):
        first = self.first()
        bad = [({"storage_type": kind}, "not supported") for kind in
               ("aws-s3", "google-gcs", "azure-blob", "tape")]
        bad += [({"storage_type": None}, "storage_type is required"),
                ({"interval": None}, "interval is required"),
                ({"interval": 0}, "interval is required"),
                ({"interval": "soon"}, "error converting input"),
                ({"path_prefix": None}, "path_prefix is required"),
                ({"path_prefix": "snapshots"}, "absolute"),
                ({"file_prefix": "../x"}, "file_prefix"), ({"retain": 0}, "retain"),
                ({"local_max_space": None}, "local_max_space is required")]
        for fields, reason in bad:
            answer = first.request("PUT", f"{CONFIG}/x", self.fields(**fields))
            self.assertEqual(answer.status, 500 if "converting" in reason else 400, fields)
            self.assertIn(reason, answer.body["errors"][0])
        self.schedule(first, "one", file_prefix="x")
        answer = first.request("PUT", f"{CONFIG}/two", self.fields(file_prefix="x"))
        self.assertEqual(answer.status, 400)
        self.assertIn('"one"', answer.body["errors"][0])
        self.assertEqual(first.request("LIST", CONFIG).data, {"keys": ["one"]})

    def test_only_who_may(self):
        first = self.first()
        self.schedule(first)
        first.put("sys/policies/acl/some", {"policy": 'path "sys/storage/*" '
                                            '{ capabilities = ["read", "update", "list"] }'})
        token = first.put("auth/token/create", {"policies": ["some"]}).body["auth"]["client_token"]
        self.assertEqual(first.request("GET", f"{CONFIG}/hourly", token=token).status, 403)
        self.assertEqual(first.request("PUT", f"{CONFIG}/x", self.fields(), token=token).status,
                         403)
        self.assertEqual(first.request("LIST", CONFIG, token=token).status, 403)
        self.assertEqual(first.request("GET", f"{STATUS}/hourly", token=token).status, 200)

    def test_another_storage_has_none(self):
        server = self.server(storage="inmem").up()
        for method, path in (("LIST", CONFIG), ("GET", f"{CONFIG}/x"), ("PUT", f"{CONFIG}/x"),
                             ("DELETE", f"{CONFIG}/x"), ("GET", f"{STATUS}/x")):
            answer = server.request(method, path, self.fields() if method == "PUT" else None)
            self.assertEqual((answer.status, answer.body["errors"]),
                             (400, ["raft storage is not in use"]))

    def test_what_was_taken_can_be_restored(self):
        first = self.first()
        first.put("sys/mounts/kv", {"type": "kv"})
        first.put("kv/a", {"v": "1"})
        self.schedule(first)
        status = self.taken(first)
        name = self.files()[0]
        self.assertRegex(name, r"^vault-snapshot-\d{19}\.snap$")
        self.assertEqual(status["last_snapshot_url"], f"file://{self.kept}/{name}")
        self.assertEqual(status["last_snapshot_error"], "")
        for part in ("url", "start"):
            self.assertEqual(status[f"snapshot_{part}"], status[f"last_snapshot_{part}"])
        self.assertLessEqual(status["last_snapshot_start"][:19], status["last_snapshot_end"][:19])
        self.assertEqual(stat.S_IMODE(os.stat(self.kept / name).st_mode), 0o600)
        first.put("kv/a", {"v": "2"})
        done = first.cli("operator", "raft", "snapshot", "inspect", str(self.kept / name))
        self.assertEqual(done.returncode, 0, done.stderr)
        done = first.cli("operator", "raft", "snapshot", "restore", str(self.kept / name))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.until("it is restored", lambda: first.get("kv/a").data == {"v": "1"})

    def test_the_newest_are_kept_and_other_files_too(self):
        first = self.first()
        (self.kept / "notes.snap").write_text("mine")
        (self.kept / "vault-snapshot-1.snap.torn.part").write_text("half")
        self.schedule(first, interval="1s", retain=2)
        seen = set()
        self.until("four were taken", lambda: seen.update(
            f for f in self.files() if re.fullmatch(r"vault-snapshot-\d+\.snap", f))
            or len(seen) >= 4, 20)
        first.ok("DELETE", f"{CONFIG}/hourly")
        kept = [f for f in self.files() if f != "notes.snap"]
        self.assertEqual(kept, sorted(seen | set(kept))[-2:])
        self.assertEqual((self.kept / "notes.snap").read_text(), "mine")

    def test_what_fails_is_told_and_tried_again(self):
        first = self.first()
        self.kept.rmdir()
        self.schedule(first, interval="1s")
        error = self.until("it is told",
                           lambda: self.status(first)["last_snapshot_error"], 20)
        self.assertIn(f"open {self.kept}/: No such file or directory", error)
        self.assertEqual(self.status(first)["last_snapshot_url"], "")
        self.assertIn("failed to take a snapshot: name=hourly", first.log_text())
        self.kept.mkdir()
        self.taken(first)
        self.until("all is well", lambda: self.status(first)["last_snapshot_error"] == "", 20)

    def test_there_is_an_end_to_the_room(self):
        first = self.first()
        self.schedule(first, local_max_space=1000)
        error = self.until("it is told",
                           lambda: self.status(first)["last_snapshot_error"], 20)
        self.assertIn("local_max_space", error)
        self.assertEqual(self.files(), [])
        first.put(f"{CONFIG}/hourly", {"local_max_space": 100000000, "interval": "1s"})
        self.taken(first)

    def test_a_new_active_node_goes_on_and_doubles_nothing(self):
        nodes = self.cluster(3)
        self.schedule(nodes[1])         # by way of a standby
        before = self.taken(nodes[2])
        nodes[0].put("sys/step-down")
        active = self.until("another leads", lambda: next(
            (n for n in nodes[1:] if n.active()), None))
        active.put(f"{CONFIG}/hourly", {"retain": 3})   # it looks at the schedule
        self.assertEqual(self.status(active), before)
        active.put(f"{CONFIG}/hourly", {"interval": "1s"})
        def newer():                    # a file is there before its status is
            status = self.status(active)
            return status["last_snapshot_start"] > before["last_snapshot_start"] and status
        after = self.until("a second one is taken", newer, 20)
        active.kill()
        active = self.the_active([n for n in nodes if n is not active])
        count = len(self.files())
        self.until("it goes on", lambda: self.status(active)["last_snapshot_start"]
                   > after["last_snapshot_start"], 20)
        self.assertGreaterEqual(len(self.files()), count)

    def test_a_restart_waits_for_the_next_one(self):
        first = self.first()
        self.schedule(first)
        before = self.taken(first)
        first.restart()
        first.put(f"{CONFIG}/hourly", {"retain": 3})
        self.assertEqual(self.status(first), before)
        self.assertEqual(len(self.files()), 1)
