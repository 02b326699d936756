"""The first hour: a store is made, unsealed, used, sealed, and used again."""
from harness import Journey


class First(Journey):
    """What everybody does."""

    def use(self, storage):
        server = self.server(storage=storage).up(shares=3, threshold=2)
        server.put("sys/mounts/kv", {"type": "kv"})
        server.put("kv/app", {"password": "correct horse"})
        self.assertEqual(server.get("kv/app").data, {"password": "correct horse"})
        return server

    def test_a_secret_outlives_a_restart_with_storage_lmdb(self):
        server = self.use("lmdb").restart()
        self.assertEqual(server.get("kv/app").data, {"password": "correct horse"})

    def test_a_secret_outlives_a_restart_with_storage_file(self):
        server = self.use("file").restart()
        self.assertEqual(server.get("kv/app").data, {"password": "correct horse"})

    def test_storage_inmem_forgets(self):
        server = self.use("inmem")
        self.assertEqual(server.stop(), 0)
        server.start()
        self.assertEqual(server.request("GET", "sys/health", token="").status, 501)

    def test_nothing_of_a_secret_stands_in_the_data(self):
        server = self.use("lmdb")
        server.stop()
        for path in server.data.rglob("*"):
            if path.is_file():
                self.assertNotIn(b"correct horse", path.read_bytes(), path)

    def test_a_sealed_server_answers_503_and_unseals_again(self):
        server = self.use("lmdb")
        server.put("sys/seal")
        self.assertEqual(server.request("GET", "kv/app").status, 503)
        self.assertEqual(server.request("GET", "sys/health", token="").status, 503)
        server.unseal()
        self.assertEqual(server.get("kv/app").data, {"password": "correct horse"})

    def test_one_share_of_two_does_not_unseal(self):
        server = self.use("lmdb")
        server.stop()
        server.start()
        answer = server.put("sys/unseal", {"key": server.keys[0]}, token="")
        self.assertEqual((answer.body["sealed"], answer.body["progress"]), (True, 1))

    def test_a_wrong_share_is_refused(self):
        server = self.use("lmdb")
        server.stop()
        server.start()
        wrong = self.server("other").up().keys[0]
        self.assertEqual(server.request("PUT", "sys/unseal", {"key": "not a key"},
                                        token="").status, 400)
        server.put("sys/unseal", {"key": server.keys[0]}, token="")
        answer = server.request("PUT", "sys/unseal", {"key": wrong}, token="")
        self.assertNotEqual(answer.status, 200)

    def test_a_second_init_is_refused(self):
        server = self.use("lmdb")
        answer = server.request("PUT", "sys/init",
                                {"secret_shares": 1, "secret_threshold": 1}, token="")
        self.assertEqual(answer.status, 400)

    def test_no_token_and_a_wrong_token_are_refused(self):
        server = self.use("lmdb")
        self.assertEqual(server.request("GET", "kv/app", token="").status, 400)
        self.assertEqual(server.request("GET", "kv/app", token="s.wrong").status, 403)

    def test_the_command_line_stores_and_reads(self):
        server = self.server().up()
        self.assertEqual(server.cli("secrets", "enable", "-path=secret", "kv-v2").returncode, 0)
        put = server.cli("kv", "put", "secret/app", "user=app", "password=correct-horse")
        self.assertEqual(put.returncode, 0, put.stderr)
        got = server.cli("kv", "get", "-field=password", "secret/app")
        self.assertEqual((got.returncode, got.stdout), (0, "correct-horse"))
        self.assertEqual(server.cli("kv", "get", "secret/none").returncode, 2)
        self.assertEqual(server.cli("status").returncode, 0)
        self.assertEqual(server.cli("operator", "seal").returncode, 0)
        self.assertEqual(server.cli("status").returncode, 2)

    def test_login_keeps_the_token_where_only_its_owner_reads_it(self):
        server = self.server().up()
        token, server.root = server.root, None
        self.assertEqual(server.cli("login", token).returncode, 0)
        kept = server.dir / ".vault-token"
        self.assertEqual((kept.read_text(), kept.stat().st_mode & 0o777), (token, 0o600))
        self.assertEqual(server.cli("token", "lookup").returncode, 0)

    def test_a_development_server_is_ready_at_once(self):
        server = self.server()
        server.start("-dev", "-dev-root-token-id=root",
                     f"-dev-listen-address=127.0.0.1:{server.port}")
        server.root = "root"
        server.wait_active()
        server.put("secret/data/app", {"data": {"a": "b"}})
        self.assertEqual(server.get("secret/data/app").data["data"], {"a": "b"})
        self.assertEqual((server.dir / ".vault-token").read_text(), "root")
