"""A full disk: writes are refused, reads go on, nothing is lost, room makes writes work again."""
import os
import subprocess

from harness import Journey

SMALL, LARGE = "8m", "64m"
VALUE = "x" * 20000


class Disk(Journey):
    """The data stand on a small tmpfs; mounting one takes root."""

    def setUp(self):
        super().setUp()
        self.mounted = self.dir / "disk"
        self.mounted.mkdir()
        if os.geteuid() != 0 or self.mount("size=" + SMALL) != 0:
            self.skipTest("a small tmpfs cannot be mounted here (it takes root)")
        self.addCleanup(subprocess.run, ["umount", "-l", str(self.mounted)], check=False)

    def mount(self, options):
        return subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.mounted)],
                              stderr=subprocess.DEVNULL, check=False).returncode

    def fill(self, server):
        """Write until the server refuses; the names that were acknowledged."""
        written = []
        for number in range(4000):
            answer = server.request("PUT", f"kv/k{number}", {"v": f"{number}-{VALUE}"})
            if answer.status != 204:
                self.assertGreaterEqual(answer.status, 500, answer)
                return written
            written.append(number)
        self.fail("the disk never filled up")

    def look(self, server, written):
        for number in written:
            self.assertEqual(server.get(f"kv/k{number}").data, {"v": f"{number}-{VALUE}"})

    def survives(self, storage):
        server = self.server(storage=storage, data=self.mounted).up()
        server.put("sys/mounts/kv", {"type": "kv"})
        written = self.fill(server)
        self.assertGreater(len(written), 20)
        self.look(server, written)
        self.assertTrue(server.running())
        self.assertEqual(self.mount(f"remount,size={LARGE}"), 0)
        server.put("kv/late", {"v": "late"})
        server.restart()
        self.look(server, written)
        self.assertEqual(server.get("kv/late").data, {"v": "late"})

    def test_storage_lmdb_survives_it(self):
        self.survives("lmdb")

    def test_storage_file_survives_it(self):
        self.survives("file")

    def test_a_store_that_is_full_opens_again(self):
        server = self.server(storage="lmdb", data=self.mounted).up()
        server.put("sys/mounts/kv", {"type": "kv"})
        written = self.fill(server)
        server.kill()
        server.start().unseal()
        self.look(server, written)
