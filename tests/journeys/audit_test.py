"""Audit devices: an entry for every request, no secret in it, and no request without an entry."""
import json
import os
import signal
import time

from harness import Journey


class Audit(Journey):
    """The file device, and what happens to its file."""

    def audited(self, **options):
        self.file = self.dir / "audit.log"
        server = self.server().up()
        server.put("sys/mounts/kv", {"type": "kv"})
        server.put("sys/audit/file", {"type": "file",
                                      "options": {"file_path": str(self.file), **options}})
        return server

    def entries(self):
        return [json.loads(line) for line in self.file.read_text().splitlines()]

    def paths(self):
        return [entry["request"]["path"] for entry in self.entries()]

    def test_a_request_leaves_two_entries_that_belong_together(self):
        server = self.audited()
        server.put("kv/app", {"password": "hunter2"})
        entries = [e for e in self.entries() if e["request"]["path"] == "kv/app"]
        self.assertEqual([e["type"] for e in entries], ["request", "response"])
        self.assertEqual(entries[0]["request"]["id"], entries[1]["request"]["id"])

    def test_neither_secret_nor_token_stands_in_it(self):
        server = self.audited()
        server.put("kv/app", {"password": "hunter2"})
        server.get("kv/app")
        text = self.file.read_text()
        self.assertNotIn("hunter2", text)
        self.assertNotIn(server.root, text)
        self.assertIn("hmac-sha256:", text)

    def test_a_refused_request_is_written_down_too(self):
        server = self.audited()
        self.assertEqual(server.request("GET", "kv/app", token="s.wrong").status, 403)
        self.assertTrue([e for e in self.entries() if e.get("error")])

    def test_the_file_is_its_owners_only(self):
        self.audited()
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o600)

    def test_a_file_that_vanished_is_made_again(self):
        server = self.audited()
        self.file.unlink()
        server.put("kv/one", {"a": "b"})
        server.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 10
        while not self.file.exists():
            self.assertLess(time.monotonic(), end, "no new file")
        server.put("kv/two", {"a": "b"})
        self.assertIn("kv/two", self.paths())

    def test_a_rotated_file_is_left_alone_after_sighup(self):
        server = self.audited()
        old = self.dir / "audit.log.1"
        self.file.rename(old)
        server.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 10
        while not self.file.exists():
            self.assertLess(time.monotonic(), end, "no new file")
        size = old.stat().st_size
        server.put("kv/two", {"a": "b"})
        self.assertEqual(old.stat().st_size, size)
        self.assertIn("kv/two", self.paths())

    def point_to(self, server, target):
        """The audit file's name leads elsewhere from now on."""
        fresh = self.dir / "fresh"
        os.symlink(target, fresh)
        fresh.rename(self.file)
        server.process.send_signal(signal.SIGHUP)

    def test_no_request_is_served_while_no_device_can_write(self):
        server = self.audited(mode="0000")
        server.put("kv/app", {"a": "b"})
        self.point_to(server, "/dev/full")
        end = time.monotonic() + 10
        while server.request("GET", "kv/app").status == 200:
            self.assertLess(time.monotonic(), end, "served without an audit entry")
        refused = server.request("GET", "kv/app")
        self.assertEqual(refused.status, 500, refused)
        self.assertNotIn(b'"b"', refused.raw)
        self.assertEqual(server.request("PUT", "kv/late", {"a": "b"}).status, 500)
        self.assertEqual(server.request("GET", "sys/health", token="").status, 200)
        self.point_to(server, self.dir / "elsewhere.log")
        while server.request("GET", "kv/app").status != 200:
            self.assertLess(time.monotonic(), end + 10, "not served again")
        self.assertEqual(server.request("GET", "kv/late").status, 404)

    def test_one_device_that_writes_is_enough(self):
        server = self.audited(mode="0000")
        other = self.dir / "other.log"
        server.put("sys/audit/other", {"type": "file", "options": {"file_path": str(other)}})
        server.put("kv/app", {"a": "b"})
        self.point_to(server, "/dev/full")
        for _ in range(10):
            self.assertEqual(server.get("kv/app").status, 200)

    def test_a_file_that_cannot_be_opened_is_refused(self):
        server = self.server().up()
        answer = server.request("PUT", "sys/audit/file",
                                {"type": "file", "options": {"file_path": str(self.dir)}})
        self.assertEqual(answer.status, 400)
        self.assertEqual(server.get("sys/audit").data, {})

    def test_missing_folders_of_the_file_are_made(self):
        server = self.server().up()
        path = self.dir / "new" / "folder" / "audit.log"
        answer = server.request("PUT", "sys/audit/file",
                                {"type": "file", "options": {"file_path": str(path)}})
        self.assertEqual(answer.status, 204)
        self.assertEqual(path.parent.stat().st_mode & 0o777, 0o700)

    def test_devices_outlive_a_restart(self):
        server = self.audited()
        server.restart()
        server.put("kv/after", {"a": "b"})
        self.assertIn("kv/after", self.paths())
