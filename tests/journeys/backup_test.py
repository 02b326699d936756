"""Backups as docs/backup.md tells them: taken, and restored elsewhere."""
import shutil
import subprocess
import unittest

from harness import Journey


class Backup(Journey):
    """A copy of a store is a store."""

    def filled(self, storage):
        server = self.server(storage=storage).up()
        server.put("sys/mounts/kv", {"type": "kv"})
        for number in range(50):
            server.put(f"kv/k{number}", {"n": number})
        return server

    def restored(self, server, storage):
        """A second server on the copy, with the first one's keys."""
        other = self.server("restored", storage=storage, data=self.dir / "copy").start()
        other.keys, other.threshold, other.root = server.keys, server.threshold, server.root
        other.unseal()
        for number in range(50):
            self.assertEqual(other.get(f"kv/k{number}").data, {"n": number})
        return other

    @unittest.skipUnless(shutil.which("mdb_copy"), "no mdb_copy here")
    def test_mdb_copy_of_a_running_lmdb_store(self):
        server = self.filled("lmdb")
        (self.dir / "copy").mkdir()
        subprocess.run(["mdb_copy", str(server.data), str(self.dir / "copy")], check=True)
        server.put("kv/after", {"a": "b"})
        other = self.restored(server, "lmdb")
        self.assertEqual(other.request("GET", "kv/after").status, 404)
        self.assertEqual(server.get("kv/after").data, {"a": "b"})

    def test_a_cold_copy_of_an_lmdb_store(self):
        server = self.filled("lmdb")
        server.stop()
        shutil.copytree(server.data, self.dir / "copy")
        self.restored(server, "lmdb")

    def test_a_cold_copy_of_a_file_store(self):
        server = self.filled("file")
        server.stop()
        shutil.copytree(server.data, self.dir / "copy")
        self.restored(server, "file")
