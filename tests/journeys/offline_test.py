"""Commands that work beside a server: operator migrate, operator diagnose; and patch."""
import json
import shutil
import signal
import subprocess

import harness
from harness import Journey


def run(directory, *arguments):
    """The command line without a server."""
    return subprocess.run([harness.binary, *arguments], env=harness.clean_environment(directory),
                          cwd=directory, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=60, check=False)


class Migrate(Journey):
    """operator migrate, from a file storage to an LMDB and back."""

    def filled(self, storage):
        server = self.server("source", storage=storage).up()
        server.put("sys/mounts/kv", {"type": "kv"})
        for i in range(300):
            server.put(f"kv/some/{i}", {"n": str(i)})
        self.assertEqual(server.stop(), 0)
        return server

    def config(self, source, destination):
        """A migration's file; each of the two is (type, directory)."""
        path = self.dir / f"{source[0]}-{destination[0]}.hcl"
        path.write_text("".join(f'{name} "{what[0]}" {{ path = "{what[1]}" }}\n' for name, what in
                                (("storage_source", source), ("storage_destination", destination))))
        return f"-config={path}"

    def served(self, storage, data, source):
        """The copy, unsealed with the source's keys."""
        server = self.server(f"copy-{storage}", storage=storage, data=data).start()
        server.keys, server.root, server.threshold = source.keys, source.root, source.threshold
        return server.unseal()

    def test_all_is_there_on_the_other_side(self):
        for kind, other in (("file", "lmdb"), ("lmdb", "file")):
            with self.subTest(source=kind):
                source = self.filled(kind)
                data = self.dir / f"to-{other}"
                data.mkdir()
                done = run(self.dir, "operator", "migrate",
                           self.config((kind, source.data), (other, data)))
                self.assertEqual((done.returncode, done.stdout),
                                 (0, "Success! All of the keys have been migrated.\n"), done.stderr)
                self.assertIn("copied key: path=core/keyring", done.stderr)
                copy = self.served(other, data, source)
                for i in (0, 150, 299):
                    self.assertEqual(copy.get(f"kv/some/{i}").data, {"n": str(i)})
                copy.stop()
                self.assertEqual(source.start().unseal().get("kv/some/7").data, {"n": "7"})
                source.stop()
                for server in (source, copy):
                    shutil.rmtree(server.dir)

    def test_a_part_is_not_taken_for_the_whole(self):
        source, data = self.filled("file"), self.dir / "to"
        data.mkdir()
        config = self.config(("file", source.data), ("lmdb", data))
        part = run(self.dir, "operator", "migrate", config, "-start=logical/", "-log-level=error")
        self.assertEqual(part.returncode, 0, part.stderr)
        again = run(self.dir, "operator", "migrate", config)
        self.assertEqual(again.returncode, 2)
        self.assertIn("storage_destination holds data already", again.stderr)
        rest = run(self.dir, "operator", "migrate", config, "-start=a", "-log-level=error")
        self.assertEqual(rest.returncode, 0, rest.stderr)
        self.assertEqual(self.served("lmdb", data, source).get("kv/some/5").data, {"n": "5"})

    def test_a_lock_keeps_the_server_and_a_second_migration_away(self):
        source, data = self.filled("file"), self.dir / "to"
        data.mkdir()
        config = self.config(("file", source.data), ("lmdb", data))
        lock = source.data / "core" / "_migration"
        lock.write_text('{"Value":"eyJzdGFydCI6IjIwMjEtMDEtMDJUMDM6MDQ6MDVaIn0="}')
        second = run(self.dir, "operator", "migrate", config)
        self.assertEqual(second.returncode, 2)
        self.assertIn("storage migration in progress (started: 2021-01-02T03:04:05Z)",
                      second.stderr)
        self.assertEqual(source.spawn().wait(), 1)
        self.assertIn("storage migration in progress", source.log_text())
        reset = run(self.dir, "operator", "migrate", config, "-reset")
        self.assertEqual((reset.returncode, reset.stdout),
                         (0, "Success! Migration lock reset (if it was set).\n"))
        self.assertFalse(lock.exists())
        self.assertEqual(source.start().stop(), 0)

    def test_a_running_server_and_wrong_files_are_refused(self):
        server = self.server(storage="file").up()
        data = self.dir / "to"
        data.mkdir()
        config = self.config(("file", server.data), ("lmdb", data))
        cases = ((2, "storage_source", [config]),
                 (2, "keeps nothing", [self.config(("inmem", ""), ("lmdb", data))]),
                 (2, "storage_source holds no data",
                  [self.config(("lmdb", self.dir), ("file", data))]),
                 (2, "no Vault storage backend named",
                  [self.config(("file", self.dir / "empty"), ("nonsense", data))]),
                 (1, "Must specify exactly one config path", []),
                 (1, 'exactly one "storage_source" block', [f"-config={server.config}"]),
                 (1, "unknown log level", [config, "-log-level=loud"]))
        for status, text, arguments in cases:
            with self.subTest(text=text):
                done = run(self.dir, "operator", "migrate", *arguments)
                self.assertEqual(done.returncode, status, done.stderr)
                self.assertIn(text, done.stderr)

    def test_a_copy_that_is_stopped_leaves_its_lock_in_the_destination(self):
        source, data = self.filled("file"), self.dir / "to"
        data.mkdir()
        config = self.config(("file", source.data), ("file", data))
        with subprocess.Popen([harness.binary, "operator", "migrate", config],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as copy:
            copy.stderr.readline()
            copy.send_signal(signal.SIGTERM)
            stdout, stderr = copy.communicate(timeout=60)
        self.assertEqual(copy.returncode, 0)
        if "shutdown triggered" in stdout:       # else it was quicker than we
            self.assertIn("migration stopped: next_key=", stderr)
            self.assertTrue((data / "core" / "_migration").exists())
        key = stderr.split("next_key=")[1].split()[0] if "next_key=" in stderr else "zzz"
        done = run(self.dir, "operator", "migrate", config, f"-start={key}")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.served("file", data, source).get("kv/some/299").data, {"n": "299"})


class Diagnose(Journey):
    """operator diagnose."""

    def flat(self, check):
        yield check
        for child in check.get("children", []):
            yield from self.flat(child)

    def diagnose(self, server, *more):
        done = run(server.dir, "operator", "diagnose", f"-config={server.config}", "-format=json",
                   *more)
        checks = {c["name"]: c for c in self.flat(json.loads(done.stdout))}
        return done.returncode, checks

    def test_a_sound_server_gets_a_warning_for_its_lack_of_tls_only(self):
        status, checks = self.diagnose(self.server())
        self.assertEqual(checks["Check Listener TLS"]["status"], "warn")
        self.assertEqual(checks["Vault Diagnose"]["status"], "warn")
        self.assertEqual(status, 2)
        for name in ("Parse Configuration", "Check Storage Access", "Create Listener"):
            self.assertEqual(checks[name]["status"], "ok", checks[name])
        self.assertEqual(checks["Check Memory Lock"]["status"], "skipped")

    def test_faults_are_found_where_they_are(self):
        server = self.server(listener='tls_cert_file = "/nowhere"\n tls_key_file = "/nowhere"')
        status, checks = self.diagnose(server)
        self.assertEqual((status, checks["Check Listener TLS"]["status"]), (1, "fail"))
        self.assertIn("/nowhere", checks["Check Listener TLS"]["message"])
        server.config.write_text('storage "file" {\n')
        status, checks = self.diagnose(server)
        self.assertEqual((status, checks["Parse Configuration"]["status"]), (4, "fail"))

    def test_a_running_server_is_told_apart_and_can_be_left_out(self):
        server = self.server().start()
        status, checks = self.diagnose(server)
        self.assertEqual((status, checks["Create Storage Backend"]["status"]), (4, "fail"))
        self.assertEqual(checks["Create Listener"]["status"], "fail")
        status, _ = self.diagnose(server, "-skip=storage", "-skip=listener")
        self.assertIn(status, (0, 2))

    def test_the_table_and_wrong_options(self):
        server = self.server()
        done = run(server.dir, "operator", "diagnose", f"-config={server.config}")
        self.assertIn("[ ok ] Parse Configuration", done.stdout)
        self.assertEqual(run(server.dir, "operator", "diagnose").returncode, 3)
        wrong = run(server.dir, "operator", "diagnose", f"-config={server.config}", "-skip=all")
        self.assertEqual(wrong.returncode, 3)


class Patch(Journey):
    """The command patch."""

    def test_a_server_that_cannot_patch_is_reported_with_advice(self):
        server = self.server().up()
        done = server.cli("patch", "secret/data/a", "b=c")
        self.assertEqual(done.returncode, 2)
        self.assertIn("Code: 405", done.stderr)
        self.assertIn("cannot patch this path", done.stderr)

    def test_it_sends_a_merge_patch(self):
        server = self.server()
        done = server.cli("patch", "-output-curl-string", "pki/roles/a", "b=c")
        self.assertIn("-X PATCH", done.stdout + done.stderr)
        self.assertIn("application/merge-patch+json", done.stdout + done.stderr)

    def test_arguments_are_needed(self):
        server = self.server()
        for arguments in ((), ("a",)):
            self.assertEqual(server.cli("patch", *arguments).returncode, 1)
