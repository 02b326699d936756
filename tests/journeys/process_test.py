"""The process among others: signals, a second process, sockets, the configuration's faults."""
import http.client
import signal
import stat
import subprocess
import threading

import harness
from harness import Journey, UnixConnection


class Drain(threading.Thread):
    """Writes until the server stops taking connections; notes answers that were cut off."""

    def __init__(self, server, name):
        super().__init__(daemon=True)
        self.server, self.name = server, name
        self.written, self.other, self.cut = 0, [], []

    def run(self):
        while True:
            try:
                answer = self.server.request("PUT", f"kv/{self.name}-{self.written}", {"a": "b"})
            except http.client.IncompleteRead as error:
                self.cut.append(error)
                return
            except (OSError, http.client.HTTPException):
                return
            if answer.status == 503:        # sealed already: told in full, and not written
                return
            if answer.status != 204:
                self.other.append(answer)
                return
            self.written += 1


class Signals(Journey):
    """SIGTERM and SIGINT."""

    def test_sigterm_answers_what_is_under_way_and_ends_with_0(self):
        server = self.server().up()
        server.put("sys/mounts/kv", {"type": "kv"})
        writers = [Drain(server, f"w{i}") for i in range(4)]
        for writer in writers:
            writer.start()
        while min(writer.written for writer in writers) < 20:
            self.assertTrue(all(writer.is_alive() for writer in writers))
        self.assertEqual(server.stop(), 0)
        for writer in writers:
            writer.join(30)
            self.assertEqual((writer.cut, writer.other), ([], []))
        server.start().unseal()
        for writer in writers:
            last = server.request("GET", f"kv/{writer.name}-{writer.written - 1}")
            self.assertEqual(last.status, 200, "an acknowledged write is gone")

    def test_a_request_that_is_half_sent_at_sigterm_is_answered_or_closed(self):
        server = self.server().up()
        server.put("sys/mounts/kv", {"type": "kv"})
        connection = server.connection()
        connection.putrequest("PUT", "/v1/kv/slow")
        connection.putheader("X-Vault-Token", server.root)
        connection.putheader("Content-Length", "9")
        connection.endheaders()
        connection.send(b'{"a":')
        server.process.send_signal(signal.SIGTERM)
        try:
            connection.send(b'"b"}')
            self.assertIn(connection.getresponse().status, (204, 503))
        except (OSError, http.client.HTTPException):
            pass
        self.assertEqual(server.wait(), 0)

    def test_idle_connections_do_not_hold_up_the_end(self):
        server = self.server().up()
        connections = [server.connection() for _ in range(20)]
        for connection in connections:
            server.request("GET", "sys/health", token="", connection=connection)
        self.assertEqual(server.stop(), 0)

    def test_sigint_ends_with_0(self):
        server = self.server().up()
        server.process.send_signal(signal.SIGINT)
        self.assertEqual(server.wait(), 0)

    def test_sigterm_ends_a_sealed_server(self):
        server = self.server().start()
        self.assertEqual(server.stop(), 0)

    def test_sighup_reads_the_configuration_anew(self):
        server = self.server(extra='log_level = "info"').up()
        server.config.write_text(server.config.read_text().replace('"info"', '"debug"'))
        server.process.send_signal(signal.SIGHUP)
        server.restart()
        self.assertIn("reload", server.log_text())

    def test_sighup_with_a_broken_configuration_changes_nothing(self):
        server = self.server().up()
        server.config.write_text("storage {")
        server.process.send_signal(signal.SIGHUP)
        self.assertEqual(server.get("sys/health").status, 200)
        self.assertTrue(server.running())


class Exclusive(Journey):
    """One store, one process."""

    def refuses(self, storage):
        first = self.server("first", storage=storage).up()
        second = self.server("second", storage=storage, data=first.data)
        self.assertNotEqual(second.spawn().wait(), 0)
        self.assertIn("in use by another process", second.log_text())
        self.assertEqual(first.get("sys/health").status, 200)

    def test_a_second_process_on_one_lmdb_store_is_refused(self):
        self.refuses("lmdb")

    def test_a_second_process_on_one_file_store_is_refused(self):
        self.refuses("file")

    def test_a_second_process_on_one_port_is_refused(self):
        first = self.server("first").up()
        second = self.server("second")
        second.config.write_text(second.config.read_text().replace(str(second.port),
                                                                   str(first.port)))
        self.assertNotEqual(second.spawn().wait(), 0)
        self.assertIn(str(first.port), second.log_text())
        self.assertEqual(first.get("sys/health").status, 200)


class Socket(Journey):
    """A listener on a unix socket."""

    def listening(self, mode="600"):
        path = self.dir / "coffer.sock"
        extra = f'listener "unix" {{\n address = "{path}"\n socket_mode = "{mode}"\n}}'
        return path, self.server(extra=extra).up()

    def test_it_serves_on_a_unix_socket_of_the_mode_asked_for(self):
        path, server = self.listening()
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        answer = server.request("GET", "sys/mounts", connection=UnixConnection(path))
        self.assertEqual(answer.status, 200)

    def test_a_socket_left_by_a_crash_is_replaced(self):
        path, server = self.listening("660")
        server.kill()
        self.assertTrue(path.exists())
        server.start().unseal()
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o660)
        answer = server.request("GET", "sys/mounts", connection=UnixConnection(path))
        self.assertEqual(answer.status, 200)


class Faults(Journey):
    """A wrong configuration: status 1 and a message with the file and the line."""

    GOOD = 'storage "inmem" {}\n'
    TCP = 'listener "tcp" {\n address = "127.0.0.1:0"\n tls_disable = true\n}\n'
    WRONG = [
        # what, text, what the message names
        ("cut off", GOOD + 'listener "tcp" {\n', "server.hcl:"),
        ("no string", 'storage "inmem" {}\nlog_level = \n', "server.hcl:"),
        ("log level", GOOD + TCP + 'log_level = "loud"\n', "server.hcl:6"),
        ("duration", GOOD + TCP + 'max_lease_ttl = "long"\n', "server.hcl:6"),
        ("boolean", GOOD + TCP + 'ui = "perhaps"\n', "server.hcl:6"),
        ("listener type", GOOD + 'listener "udp" {}\n', "server.hcl:2"),
        ("TLS without files", GOOD + 'listener "tcp" {}\n', "server.hcl:2"),
        ("TLS version", GOOD + 'listener "tcp" {\n tls_disable = true\n'
                               ' tls_min_version = "ssl3"\n}\n', "server.hcl:4"),
        ("proxy address", GOOD + 'listener "tcp" {\n tls_disable = true\n'
                                 ' x_forwarded_for_authorized_addrs = "here"\n}\n', "server.hcl:4"),
        ("two storages", GOOD + GOOD + TCP, "server.hcl:2"),
        ("no storage", TCP, "storage backend must be specified"),
        ("unknown storage", 'storage "tape" {}\n' + TCP, "tape"),
        ("lmdb without path", 'storage "lmdb" {}\n' + TCP, "'path' must be set"),
        ("file without path", 'storage "file" {}\n' + TCP, "'path' must be set"),
        ("default above max", GOOD + TCP + 'default_lease_ttl = "2h"\nmax_lease_ttl = "1h"\n',
         "DefaultLeaseTTL"),
    ]

    def run_with(self, text):
        config = self.dir / "server.hcl"
        config.write_text(text)
        return subprocess.run([harness.binary, "server", f"-config={config}"], cwd=self.dir,
                              env=harness.clean_environment(self.dir), text=True, timeout=30,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)

    def test_each_fault_is_told_with_its_place(self):
        for what, text, named in self.WRONG:
            with self.subTest(what):
                ended = self.run_with(text)
                self.assertEqual(ended.returncode, 1, ended.stdout)
                self.assertIn(named, ended.stdout)

    def test_a_file_that_is_not_there_is_named(self):
        ended = subprocess.run([harness.binary, "server", "-config=none.hcl"], cwd=self.dir,
                               env=harness.clean_environment(self.dir), text=True, timeout=30,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.assertEqual(ended.returncode, 1)
        self.assertIn("none.hcl", ended.stdout)

    def test_an_unknown_key_is_a_warning_only(self):
        server = self.server(extra='colour = "red"').up()
        self.assertIn("colour", server.log_text())
