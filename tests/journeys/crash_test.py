"""kill -9 under write load: what was acknowledged is there after the next start.

COFFER_CRASHES sets how often the server is killed (10 unless told).
"""
import http.client
import os
import random
import threading
import time

from harness import Journey

CRASHES = int(os.environ.get("COFFER_CRASHES", "10"))
SEED = int(os.environ.get("COFFER_SEED", "0")) or random.randrange(1, 1 << 30)
WRITERS = 4


class Writer(threading.Thread):
    """Writes until the server is gone; remembers what was acknowledged."""

    def __init__(self, server, name, first):
        super().__init__(daemon=True)
        self.server, self.name = server, name
        self.next, self.acknowledged, self.surprise = first, [], None

    def run(self):
        connection = self.server.connection()
        while True:
            number = self.next
            try:
                one = self.server.request("PUT", f"kv/{self.name}-{number}", {"n": number},
                                          connection=connection)
                two = self.server.request("PUT", f"kv/{self.name}", {"n": number},
                                          connection=connection)
            except (OSError, http.client.HTTPException):
                return
            if (one.status, two.status) != (204, 204):
                self.surprise = (one, two)
                return
            self.acknowledged.append(number)
            self.next += 1


class Crash(Journey):
    """No acknowledged write is lost, and the store opens again every time."""

    def crash_and_look(self, storage):
        print(f"     crash, {storage}: {CRASHES} times, COFFER_SEED={SEED}")
        chance = random.Random(SEED)
        server = self.server(storage=storage).up()
        server.put("sys/mounts/kv", {"type": "kv"})
        numbers = [0] * WRITERS
        total = 0
        for _ in range(CRASHES):
            writers = [Writer(server, f"w{i}", numbers[i]) for i in range(WRITERS)]
            for writer in writers:
                writer.start()
            time.sleep(chance.uniform(0.02, 0.3))      # the moment of the crash, not a wait
            server.kill()
            for writer in writers:
                writer.join(30)
            server.start().unseal()
            total += sum(self.look(server, writer) for writer in writers)
            numbers = [writer.next + 1 for writer in writers]
        self.assertGreater(total, 0, "nothing was ever written")

    def look(self, server, writer):
        """All that one writer was told is there; how much that is."""
        self.assertIsNone(writer.surprise)
        connection = server.connection()
        for number in writer.acknowledged:
            answer = server.request("GET", f"kv/{writer.name}-{number}", connection=connection)
            self.assertEqual((answer.status, answer.body and answer.body["data"]),
                             (200, {"n": number}), f"{writer.name}-{number}")
        if writer.acknowledged:
            newest = server.request("GET", f"kv/{writer.name}", connection=connection)
            self.assertIn(newest.data["n"], (writer.acknowledged[-1], writer.next))
        connection.close()
        return len(writer.acknowledged)

    def test_storage_lmdb_loses_no_acknowledged_write(self):
        self.crash_and_look("lmdb")

    def test_storage_file_loses_no_acknowledged_write(self):
        self.crash_and_look("file")

    def test_a_crash_in_the_middle_of_init_leaves_a_store_that_is_whole_or_new(self):
        server = self.server()
        for _ in range(CRASHES):
            server.start()
            starter = threading.Thread(target=self.try_init, args=(server,), daemon=True)
            starter.start()
            time.sleep(random.Random(SEED).uniform(0, 0.02))
            server.kill()
            starter.join(30)
            server.start()
            answer = server.request("GET", "sys/health", token="")
            self.assertIn(answer.status, (501, 503))
            server.kill()
            if answer.status == 503:
                return

    @staticmethod
    def try_init(server):
        try:
            server.init()
        except (OSError, http.client.HTTPException, AssertionError):
            pass
