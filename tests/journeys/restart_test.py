"""What a restart keeps: tokens, leases, policies, mounts, users, keys of transit."""
import base64

from harness import Journey


class Restart(Journey):
    """A store is closed in order, opened again, unsealed."""

    STORAGES = ("lmdb", "file")

    def each(self, prepare, look):
        for storage in self.STORAGES:
            with self.subTest(storage):
                server = self.server(storage, storage=storage).up()
                before = prepare(server)
                server.restart()
                look(server, before)

    def test_tokens_and_what_they_may(self):
        def prepare(server):
            server.put("sys/mounts/kv", {"type": "kv"})
            server.put("kv/open", {"a": "b"})
            server.put("kv/shut", {"a": "b"})
            server.put("sys/policy/reader", {"policy": 'path "kv/open" {capabilities=["read"]}'})
            answer = server.put("auth/token/create", {"policies": ["reader"], "ttl": "1h"})
            return answer.body["auth"]["client_token"]

        def look(server, token):
            self.assertEqual(server.get("kv/open", token=token).data, {"a": "b"})
            self.assertEqual(server.request("GET", "kv/shut", token=token).status, 403)
            own = server.get("auth/token/lookup-self", token=token).data
            self.assertEqual(own["policies"], ["default", "reader"])
            self.assertTrue(0 < own["ttl"] <= 3600)
        self.each(prepare, look)

    def test_a_revoked_token_stays_revoked(self):
        def prepare(server):
            token = server.put("auth/token/create", {}).body["auth"]["client_token"]
            server.put("auth/token/revoke", {"token": token})
            return token

        def look(server, token):
            self.assertEqual(server.request("GET", "auth/token/lookup-self",
                                            token=token).status, 403)
        self.each(prepare, look)

    def test_logins_and_their_leases(self):
        def prepare(server):
            server.put("sys/auth/userpass", {"type": "userpass"})
            server.put("auth/userpass/users/ann", {"password": "pw", "token_ttl": "1h"})
            login = server.put("auth/userpass/login/ann", {"password": "pw"}, token="")
            return login.body["auth"]["client_token"]

        def look(server, token):
            self.assertEqual(server.get("auth/token/lookup-self", token=token).data["path"],
                             "auth/userpass/login/ann")
            leases = server.ok("LIST", "sys/leases/lookup/auth/userpass/login/ann").data["keys"]
            self.assertEqual(len(leases), 1)
            lease = "auth/userpass/login/ann/" + leases[0]
            self.assertTrue(server.put("sys/leases/lookup", {"lease_id": lease}).data["renewable"])
            server.put("sys/leases/revoke-prefix/auth/userpass")
            self.assertEqual(server.request("GET", "auth/token/lookup-self",
                                            token=token).status, 403)
            server.put("auth/userpass/login/ann", {"password": "pw"}, token="")
        self.each(prepare, look)

    def test_mounts_and_versions_of_kv(self):
        def prepare(server):
            server.put("sys/mounts/secret", {"type": "kv", "options": {"version": "2"},
                                             "description": "things"})
            for number in range(3):
                server.put("secret/data/app", {"data": {"n": number}})
            server.ok("DELETE", "secret/data/app")

        def look(server, _):
            self.assertEqual(server.get("sys/mounts").data["secret/"]["description"], "things")
            self.assertEqual(server.request("GET", "secret/data/app").status, 404)
            self.assertEqual(server.get("secret/data/app?version=2").data["data"], {"n": 1})
        self.each(prepare, look)

    def test_keys_of_transit(self):
        plain = base64.b64encode(b"plain").decode()

        def prepare(server):
            server.put("sys/mounts/transit", {"type": "transit"})
            server.put("transit/keys/k")
            return server.put("transit/encrypt/k", {"plaintext": plain}).data["ciphertext"]

        def look(server, ciphertext):
            opened = server.put("transit/decrypt/k", {"ciphertext": ciphertext})
            self.assertEqual(opened.data["plaintext"], plain)
        self.each(prepare, look)

    def test_a_token_that_expired_meanwhile_is_gone(self):
        def prepare(server):
            answer = server.put("auth/token/create", {"ttl": "1s", "explicit_max_ttl": "1s"})
            return answer.body["auth"]["client_token"]

        def look(server, token):
            status = 200
            while status == 200:        # a second at most
                status = server.request("GET", "auth/token/lookup-self", token=token).status
            self.assertEqual(status, 403)
        self.each(prepare, look)
