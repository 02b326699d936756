"""Seals that need nobody: unsealing by another server or a static key, recovery keys, migration."""
import base64
import json
import os
import shutil
import signal
import ssl
import time
import unittest

from harness import Journey
from journeys.tls_test import authority, certificate

WAIT_S = 30

# What a token must be allowed to do for a seal.
POLICY = ('path "transit/encrypt/unseal*" { capabilities = ["update"] }\n'
          'path "transit/decrypt/unseal*" { capabilities = ["update"] }\n')

# An OpenPGP key that nobody uses, and its fingerprint.
PGP_KEY = ("mDMEXg1dpRYJKwYBBAHaRw8BAQdA2Pk+jRLsx9NUo0C1GqYQELciot8noBastke4lhrg9oq0F1Rlc3Qg"
           "PHRlc3RAZXhhbXBsZS5jb20+iJAEExYIADgWIQSmqf9yiXUlA5igaFYaJwTRGdvFzgUCXg1dpQIbAQUL"
           "CQgHAgYVCgkICwIEFgIDAQIeAQIXgAAKCRAaJwTRGdvFzgJRAP9Hvf8nK5gpePiQmjCRmDSMibRqiuR1"
           "RrXfzThsA22RvwD9GyGZCMbsExA+AHsZU2AfhMk58oyZ2tQsy4vVuQeJsgu4OAReDV2lEgorBgEEAZdV"
           "AQUBAQdA58Tt22VakRqABR81QEBsG3Wlbu/bOmWiCi5c7lkoC38DAQgHiHgEGBYIACAWIQSmqf9yiXUl"
           "A5igaFYaJwTRGdvFzgUCXg1dpQIbDAAKCRAaJwTRGdvFzhAAAP9cZrblhcPSDdvcFppuSZfEWFczlp0J"
           "GFhxlrAtuWs0vgEAiGuBUBkC5cK0zw8APEoNdpjFI4IVbtoF8ueAO8D5/gc=")
FINGERPRINT = "a6a9ff728975250398a068561a2704d119dbc5ce"


def spoilt(key):
    """A share of the right form that is none."""
    raw = base64.b64decode(key)
    return base64.b64encode(bytes([raw[0] ^ 1]) + raw[1:]).decode()


class Seals(Journey):
    """A server whose root key another one encrypts."""

    def peer(self, name="peer", storage="lmdb"):
        """The server with the transit engine, unsealed by a share."""
        peer = self.server(name, storage=storage).up()
        peer.put("sys/mounts/transit", {"type": "transit"})
        peer.put("transit/keys/unseal")
        peer.put("sys/policy/unseal", {"policy": POLICY})
        return peer

    @staticmethod
    def token(peer, **how):
        return peer.put("auth/token/create", {"policies": ["unseal"], **(how or {"period": "24h"})}
                        ).body["auth"]["client_token"]

    def transit(self, peer, key="unseal", token=None, disabled=False, more=""):
        return (f'seal "transit" {{\n address = "{peer.address}"\n'
                f' token = "{token or self.token(peer)}"\n key_name = "{key}"\n'
                f' mount_path = "transit/"\n disabled = "{str(disabled).lower()}"\n{more}}}\n')

    @staticmethod
    def static(name, key, disabled=False, more=""):
        return (f'seal "static" {{\n current_key_id = "{name}"\n current_key = "{key}"\n'
                f' disabled = "{str(disabled).lower()}"\n{more}}}\n')

    def sealed(self, stanza, name="one", storage="lmdb"):
        """A server that is not started yet; its configuration may be given other stanzas later."""
        server = self.server(name, storage=storage)
        server.plain = server.config.read_text()
        server.recovery = []
        self.configure(server, stanza)
        return server

    @staticmethod
    def configure(server, stanza):
        server.config.write_text(server.plain + stanza)

    @staticmethod
    def init(server, shares=3, threshold=2):
        body = server.put("sys/init", {"recovery_shares": shares, "recovery_threshold": threshold},
                          token="").body
        server.recovery, server.root = body["recovery_keys_base64"], body["root_token"]
        server.threshold = threshold
        return body

    def up(self, stanza, **how):
        server = self.sealed(stanza, **how).start()
        self.init(server)
        server.put("sys/mounts/kv", {"type": "kv"})
        server.put("kv/a", {"b": "c"})
        return server

    def again(self, server):
        """A restart after which nobody does anything."""
        self.assertEqual(server.stop(), 0)
        server.start().wait_active()
        self.assertEqual(server.get("kv/a").data, {"b": "c"})

    def status(self, server):
        return server.get("sys/seal-status", token="").body

    def wait_log(self, server, text, since=0):
        end = time.monotonic() + WAIT_S
        while text not in server.log_text()[since:]:
            self.assertLess(time.monotonic(), end, f"not in the log: {text}")
            time.sleep(0.02)

    def give(self, server, keys, migrate=False):
        """Enough shares."""
        for key in keys[:server.threshold]:
            answer = server.put("sys/unseal", {"key": key, "migrate": migrate}, token="")
        return answer.body


class AutoUnseal(Seals):
    """Init and start with the seal "transit"."""

    def test_init_gives_recovery_keys_and_goes_active(self):
        server = self.sealed(self.transit(self.peer())).start()
        before = self.status(server)
        self.assertEqual((before["type"], before["initialized"], before["recovery_seal"]),
                         ("transit", False, True))
        body = self.init(server, shares=5, threshold=3)
        self.assertEqual((body["keys"], body["keys_base64"]), ([], []))
        self.assertEqual((len(body["recovery_keys"]), len(body["recovery_keys_base64"])), (5, 5))
        after = self.status(server)
        self.assertEqual([after[k] for k in ("type", "initialized", "sealed", "t", "n", "progress",
                                             "recovery_seal", "migration")],
                         ["shamir", True, False, 3, 5, 0, True, False])
        server.get("auth/token/lookup-self")

    def test_refusals_of_init(self):
        server = self.sealed(self.transit(self.peer())).start()
        for body, text in (
                ({}, "recovery configuration must specify a positive number of shares"),
                ({"recovery_shares": 2, "recovery_threshold": 3},
                 "invalid recovery configuration: threshold cannot be larger than shares"),
                ({"recovery_shares": 2, "recovery_threshold": 2, "recovery_pgp_keys": ["AAAA"]},
                 "incorrect number of PGP keys for recovery"),
                ({"secret_shares": 1, "secret_threshold": 1, "pgp_keys": ["AAAA"],
                  "recovery_shares": 1, "recovery_threshold": 1},
                 "PGP keys not supported when storing shares")):
            answer = server.request("PUT", "sys/init", body, token="")
            self.assertEqual((answer.status, answer.body["errors"]), (400, [text]))
        self.assertFalse(server.get("sys/init", token="").body["initialized"])

    def test_every_storage_unseals_by_itself_after_a_restart(self):
        peer = self.peer()
        for storage in ("lmdb", "file"):
            with self.subTest(storage):
                server = self.up(self.transit(peer), name=storage, storage=storage)
                self.again(server)
                server.kill()
                server.start().wait_active()
                self.assertEqual(server.get("kv/a").data, {"b": "c"})

    def test_stored_forms_are_vaults(self):
        server = self.up(self.transit(self.peer()), storage="file")

        def stored(path):
            *folders, last = path.split("/")
            text = server.data.joinpath(*folders, "_" + last).read_text()
            return base64.b64decode(json.loads(text)["Value"])
        self.assertEqual(json.loads(stored("core/seal-config")),
                         {"type": "transit", "secret_shares": 1, "secret_threshold": 1,
                          "pgp_keys": None, "nonce": "", "backup": False, "stored_shares": 1})
        self.assertEqual(json.loads(stored("core/recovery-config")),
                         {"type": "shamir", "secret_shares": 3, "secret_threshold": 2,
                          "pgp_keys": None, "nonce": "", "backup": False, "stored_shares": 0})
        for name in ("core/hsm/barrier-unseal-keys", "core/recovery-key"):
            blob = stored(name)
            self.assertEqual(blob[0], 0x0a)
            self.assertEqual(blob[2:2 + len("vault:v1:")], b"vault:v1:")
            self.assertTrue(blob.endswith(b"\x2a\x04\x1a\x02v1"), blob)
        self.assertFalse(server.data.joinpath("core", "_shamir-kek").exists())

    def test_a_peer_that_is_down_at_the_start_is_waited_for(self):
        peer = self.peer()
        server = self.up(self.transit(peer))
        self.assertEqual((server.stop(), peer.stop()), (0, 0))
        server.start()
        self.wait_log(server, "failed to unseal core")
        self.assertIn(f"{peer.address}/v1/transit/decrypt/unseal", server.log_text())
        self.assertEqual(server.request("GET", "sys/health", token="").status, 503)
        self.assertTrue(self.status(server)["sealed"])
        peer.start()                 # answers, but is sealed itself
        time.sleep(0.5)
        self.assertTrue(self.status(server)["sealed"])
        peer.unseal()
        server.wait_active()
        self.assertEqual(server.get("kv/a").data, {"b": "c"})

    def test_a_peer_that_hangs_holds_up_nobody(self):
        peer = self.peer()
        server = self.up(self.transit(peer))
        self.assertEqual(server.stop(), 0)
        peer.process.send_signal(signal.SIGSTOP)
        try:
            server.start()
            began = time.monotonic()
            while time.monotonic() < began + 1:
                self.assertTrue(self.status(server)["sealed"])
                self.assertEqual(server.request("GET", "sys/health", token="").status, 503)
            self.assertLess(time.monotonic(), began + 3)
        finally:
            peer.process.send_signal(signal.SIGCONT)
        server.wait_active()

    def test_an_init_without_the_peer_is_refused_and_can_be_made_later(self):
        peer = self.peer()
        server = self.sealed(self.transit(peer)).start()
        peer.stop()
        answer = server.request("PUT", "sys/init", {"recovery_shares": 1, "recovery_threshold": 1},
                                token="")
        self.assertEqual(answer.status, 400)
        self.assertIn(peer.address, answer.body["errors"][0])
        self.assertFalse(self.status(server)["initialized"])
        peer.start().unseal()
        self.init(server, 1, 1)
        server.get("auth/token/lookup-self")

    def test_a_token_that_expired_keeps_it_sealed_and_is_told(self):
        peer = self.peer()
        token = self.token(peer)
        server = self.up(self.transit(peer, token=token))
        self.assertEqual(server.stop(), 0)
        peer.put("auth/token/revoke", {"token": token})
        before = len(server.log_text())
        server.start()
        self.wait_log(server, "unable to renew token, disabling renewal: err=", before)
        self.wait_log(server, "failed to unseal core", before)
        self.assertIn("permission denied", server.log_text()[before:])
        self.assertNotIn(token, server.log_text())
        self.assertTrue(self.status(server)["sealed"])
        self.configure(server, self.transit(peer))
        self.again(server)

    def test_the_token_is_kept_alive(self):
        peer = self.peer()
        token = self.token(peer, period="3s")
        server = self.up(self.transit(peer, token=token))
        time.sleep(6)
        self.assertEqual(peer.get("auth/token/lookup-self", token=token).status, 200)
        self.again(server)

    def test_without_renewal_the_token_ends(self):
        peer = self.peer()
        token = self.token(peer, period="2s")
        self.up(self.transit(peer, token=token, more='disable_renewal = "true"\n'))
        time.sleep(3.5)
        self.assertEqual(peer.request("GET", "auth/token/lookup-self", token=token).status, 403)

    def test_a_wrong_key_name_says_so(self):
        peer = self.peer()
        server = self.up(self.transit(peer))
        self.assertEqual(server.stop(), 0)
        peer.put("transit/keys/unseal-other")
        before = len(server.log_text())
        self.configure(server, self.transit(peer, key="unseal-other"))
        server.start()
        self.wait_log(server, "transit/decrypt/unseal-other", before)
        self.assertTrue(self.status(server)["sealed"])
        self.configure(server, self.transit(peer))
        self.again(server)

    def test_stored_keys_follow_a_rotation_of_the_transit_key(self):
        peer = self.peer()
        server = self.up(self.transit(peer), storage="file")
        entry = server.data / "core" / "hsm" / "_barrier-unseal-keys"
        peer.put("transit/keys/unseal/rotate")
        before = len(server.log_text())
        self.again(server)
        self.wait_log(server, "upgraded stored keys", before)
        blob = base64.b64decode(json.loads(entry.read_text())["Value"])
        self.assertIn(b"vault:v2:", blob)
        self.assertTrue(blob.endswith(b"v2"))
        peer.put("transit/keys/unseal/config", {"min_decryption_version": 2})
        self.again(server)
        self.give_recovery_is_checked(server)

    def give_recovery_is_checked(self, server):
        server.put("sys/seal")
        self.assertFalse(self.give(server, server.recovery)["sealed"])

    def test_sealed_by_hand_it_stays_so_until_recovery_keys_or_a_restart(self):
        server = self.up(self.transit(self.peer()))
        server.put("sys/seal")
        time.sleep(1)
        self.assertTrue(self.status(server)["sealed"])
        server.put("sys/unseal", {"key": server.recovery[2]}, token="")
        self.assertEqual(self.status(server)["progress"], 1)
        self.assertFalse(server.put("sys/unseal", {"key": server.recovery[0]},
                                    token="").body["sealed"])
        server.put("sys/seal")
        server.put("sys/unseal", {"key": server.recovery[0]}, token="")
        wrong = spoilt(server.recovery[1])
        answer = server.request("PUT", "sys/unseal", {"key": wrong}, token="")
        self.assertEqual((answer.status, answer.body["errors"]),
                         (500, ["recovery key does not match submitted values"]))
        self.assertEqual(self.status(server)["progress"], 0)
        self.again(server)

    def test_banner_and_command_line(self):
        peer = self.peer()
        server = self.sealed(self.transit(peer)).start()
        self.wait_log(server, "Vault server started!")
        log = server.log_text()
        for row in ("Seal Type: transit", f"Transit Address: {peer.address}",
                    "Transit Key Name: unseal", "Transit Mount Path: transit/"):
            self.assertIn(row, log)
        made = server.cli("operator", "init", "-recovery-shares=2", "-recovery-threshold=2")
        self.assertEqual(made.returncode, 0, made.stderr)
        for line in ("Recovery Key 1: ", "Recovery Key 2: ", "Initial Root Token: s.",
                     "Success! Vault is initialized"):
            self.assertIn(line, made.stdout)
        self.assertNotIn("Unseal Key", made.stdout)
        status = server.cli("status")
        self.assertEqual(status.returncode, 0)
        rows = dict(line.split(None, 2)[:1] + [line] for line in status.stdout.splitlines()[2:])
        self.assertRegex(rows["Recovery"], r"^Recovery Seal Type +shamir$")
        self.assertRegex(rows["Total"], r"^Total Recovery Shares +2$")
        self.assertRegex(rows["Threshold"], r"^Threshold +2$")

    def test_what_is_wrong_in_a_stanza_is_refused_at_the_start(self):
        peer = self.peer()
        for stanza, text in (
                ('seal "transit" { address = "http://127.0.0.1:1" }', "mount_path is required"),
                ('seal "transit" { mount_path = "t" }', "key_name is required"),
                ('seal "awskms" { }', 'seal "awskms": this version has the seals'),
                ('seal "static" { current_key_id = "a"\n current_key = "short" }',
                 "current_key: a key of 32 bytes expected"),
                ('seal "static" { current_key = "short" }', "current_key_id is required"),
                ('seal "static" { current_key_id = "a"\n current_key = "file:///nowhere" }',
                 "/nowhere: No such file"),
                ('seal "shamir" { disabled = "true" }', "Shamir seals cannot be set disabled"),
                (self.transit(peer, more='tls_skip_verify = "maybe"\n'), "tls_skip_verify"),
                (self.transit(peer, more='tls_client_cert = "/x"\n'), "client cert")):
            with self.subTest(stanza):
                server = self.sealed(stanza, name=f"wrong-{len(self.servers)}").spawn()
                self.assertEqual(server.wait(), 1)
                self.assertIn(text, server.log_text())

    def test_diagnose_tells_of_the_seal(self):
        peer = self.peer()
        server = self.sealed(self.transit(peer))
        done = server.cli("operator", "diagnose", f"-config={server.config}")
        self.assertIn("[ ok ] Check Autounseal Encryption", done.stdout)
        self.assertNotIn("transit/encrypt", done.stdout)
        peer.stop()
        done = server.cli("operator", "diagnose", f"-config={server.config}")
        self.assertIn("[ fail ] Check Autounseal Encryption", done.stdout)
        self.assertIn(f"{peer.address}/v1/transit/encrypt/unseal", done.stdout)
        self.assertEqual(done.returncode, 1)
        done = server.cli("operator", "diagnose", f"-config={server.config}", "-skip=autounseal")
        self.assertIn("[ skip ] Check Autounseal Encryption", done.stdout)


class Environment(Seals):
    """What the seal "transit" takes from the environment."""

    def test_the_environment_is_enough(self):
        peer = self.peer()
        server = self.sealed("")
        server.environment = {"VAULT_SEAL_TYPE": "transit", "VAULT_ADDR": peer.address,
                              "VAULT_TOKEN": self.token(peer),
                              "VAULT_TRANSIT_SEAL_KEY_NAME": "unseal",
                              "VAULT_TRANSIT_SEAL_MOUNT_PATH": "transit/"}
        server.start()
        self.init(server)
        server.put("sys/mounts/kv", {"type": "kv"})
        server.put("kv/a", {"b": "c"})
        self.again(server)

    def test_the_stanza_wins_for_address_and_token_the_environment_for_the_key(self):
        peer = self.peer()
        server = self.sealed(self.transit(peer, key="of-the-stanza",
                                          more=' what_is_this = "1"\n'))
        server.environment = {"VAULT_ADDR": "http://127.0.0.1:1", "VAULT_TOKEN": "s.none",
                              "VAULT_TRANSIT_SEAL_KEY_NAME": "unseal"}
        self.init(server.start())
        self.wait_log(server, "Vault server started!")
        self.assertIn("unknown key in a seal stanza: seal=transit key=what_is_this",
                      server.log_text())
        self.assertIn("Transit Key Name: unseal", server.log_text())
        self.assertIn(f"Transit Address: {peer.address}", server.log_text())


@unittest.skipUnless(shutil.which("openssl"), "no openssl here")
class Tls(Seals):
    """A peer that wants to know who calls."""

    def test_authority_and_client_certificate(self):
        authority(self.dir, "ca")
        authority(self.dir, "foreign")
        certificate(self.dir, "server", "ca", 7001)
        certificate(self.dir, "client", "ca", 7002)
        trust = ssl.create_default_context(cafile=self.dir / "ca.crt")
        trust.load_cert_chain(self.dir / "client.crt", self.dir / "client.key")
        peer = self.server("peer", tls=trust, listener=(
            f'tls_cert_file = "{self.dir}/server.crt"\n  tls_key_file = "{self.dir}/server.key"\n'
            f'  tls_require_and_verify_client_cert = "true"\n'
            f'  tls_client_ca_file = "{self.dir}/ca.crt"')).up()
        peer.put("sys/mounts/transit", {"type": "transit"})
        peer.put("transit/keys/unseal")
        peer.put("sys/policy/unseal", {"policy": POLICY})
        mine = (f' tls_client_cert = "{self.dir}/client.crt"\n'
                f' tls_client_key = "{self.dir}/client.key"\n')
        token = self.token(peer)
        good = self.transit(peer, token=token, more=f' tls_ca_cert = "{self.dir}/ca.crt"\n{mine}')
        server = self.up(good)
        self.again(server)
        for more, wrong in ((f' tls_ca_cert = "{self.dir}/foreign.crt"\n{mine}', "certificate"),
                            (f' tls_ca_cert = "{self.dir}/ca.crt"\n', peer.address),
                            (f' tls_ca_cert = "{self.dir}/ca.crt"\n{mine}'
                             ' tls_server_name = "elsewhere"\n', "elsewhere")):
            self.assertEqual(server.stop(), 0)
            before = len(server.log_text())
            self.configure(server, self.transit(peer, token=token, more=more))
            server.start()
            self.wait_log(server, "failed to unseal core", before)
            self.assertIn(wrong, server.log_text()[before:])
        self.configure(server, self.transit(peer, token=token,
                                            more=f'{mine} tls_skip_verify = "true"\n'))
        self.again(server)


class StaticKey(Seals):
    """The seal "static"."""

    def test_keys_in_hex_base64_files_and_the_environment(self):
        key = os.urandom(32)
        path = self.dir / "key"
        path.write_bytes(key)
        server = self.up(self.static("k1", key.hex()))
        for form in (base64.b64encode(key).decode(), f"file://{path}"):
            self.configure(server, self.static("k1", form))
            self.again(server)
        self.assertEqual(self.status(server)["recovery_seal"], True)
        self.wait_log(server, "Static KMS Key ID: k1")

    def test_the_previous_key_opens_once_and_the_new_one_is_used_then(self):
        one, two = os.urandom(32).hex(), os.urandom(32).hex()
        server = self.up(self.static("k1", one))
        self.configure(server, self.static("k2", two, more=f'previous_key_id = "k1"\n'
                                                            f' previous_key = "{one}"\n'))
        self.again(server)
        self.wait_log(server, "upgraded stored keys")
        self.configure(server, self.static("k2", two))
        self.again(server)
        self.configure(server, self.static("k1", one))
        self.assertEqual(server.stop(), 0)
        server.start()
        self.wait_log(server, 'encrypted with key "k2"')
        self.assertTrue(self.status(server)["sealed"])

    def test_another_key_of_the_same_name_does_not_open(self):
        server = self.up(self.static("k1", os.urandom(32).hex()))
        self.configure(server, self.static("k1", os.urandom(32).hex()))
        self.assertEqual(server.stop(), 0)
        server.start()
        self.wait_log(server, "failed to unseal core")
        self.assertTrue(self.status(server)["sealed"])


class RecoveryKeys(Seals):
    """What the holders of recovery keys can do."""

    def setUp(self):
        super().setUp()
        self.one = self.up(self.static("k1", os.urandom(32).hex()))

    def rekey(self, path, body, keys):
        nonce = self.one.put(f"{path}/init", body, token="").body["nonce"]
        for key in keys:
            answer = self.one.request("PUT", f"{path}/update", {"key": key, "nonce": nonce},
                                      token="")
        return answer

    def root(self, keys):
        """The answer of generate-root to the last key."""
        self.one.ok("DELETE", "sys/generate-root/attempt", token="")
        nonce = self.one.put("sys/generate-root/attempt", {}, token="").body["nonce"]
        for key in keys:
            answer = self.one.request("PUT", "sys/generate-root/update",
                                      {"key": key, "nonce": nonce}, token="")
        return answer

    def test_generate_root(self):
        keys = self.one.recovery
        answer = self.root(keys[1:])
        self.assertTrue(answer.body["complete"])
        self.assertEqual((answer.body["required"], len(answer.body["encoded_root_token"])), (2, 35))
        answer = self.root([keys[0], spoilt(keys[1])])
        self.assertEqual((answer.status, answer.body["errors"]),
                         (400, ["root generation aborted: unable to authenticate: recovery key "
                                "verification failed: recovery key does not match submitted "
                                "values"]))

    def test_rekey_of_the_recovery_key(self):
        old = self.one.recovery
        answer = self.rekey("sys/rekey-recovery-key", {"secret_shares": 1, "secret_threshold": 1},
                            old[:2])
        self.assertTrue(answer.body["complete"])
        new = answer.body["keys_base64"]
        status = self.status(self.one)
        self.assertEqual((status["t"], status["n"]), (1, 1))
        self.assertEqual(self.root(old[:1]).status, 400)
        self.assertTrue(self.root(new).body["complete"])
        self.again(self.one)
        self.assertTrue(self.root(new).body["complete"])

    def test_rekey_with_verification(self):
        path, old = "sys/rekey-recovery-key", self.one.recovery
        done = self.rekey(path, {"secret_shares": 2, "secret_threshold": 2,
                                 "require_verification": True}, old[:2]).body
        self.assertTrue(done["complete"] and done["verification_required"])
        self.assertTrue(self.root(old[:2]).body["complete"])    # not in force yet
        for key in done["keys_base64"]:
            answer = self.one.put(f"{path}/verify", {"key": key,
                                                     "nonce": done["verification_nonce"]}, token="")
        self.assertTrue(answer.body["complete"])
        self.assertEqual(self.root(old[:2]).status, 400)
        self.assertTrue(self.root(done["keys_base64"]).body["complete"])

    def test_wrong_keys_rekey_nothing(self):
        answer = self.rekey("sys/rekey-recovery-key", {"secret_shares": 1, "secret_threshold": 1},
                            [self.one.recovery[0], spoilt(self.one.recovery[1])])
        self.assertEqual((answer.status, answer.body["errors"]),
                         (400, ["recovery key verification failed: recovery key does not match "
                                "submitted values"]))
        self.assertTrue(self.root(self.one.recovery[:2]).body["complete"])

    def test_rekey_of_the_barrier_gives_no_keys(self):
        path = "sys/rekey/init"
        for body, text in (
                ({"secret_shares": 1, "secret_threshold": 1, "pgp_keys": ["AAAA"]},
                 "PGP key encryption not supported when using stored keys"),
                ({"secret_shares": 1, "secret_threshold": 1, "require_verification": True},
                 "requiring verification not supported when rekeying the barrier key with "
                 "recovery keys")):
            answer = self.one.request("PUT", path, body, token="")
            self.assertEqual((answer.status, answer.body["errors"]), (400, [text]))
        done = self.rekey("sys/rekey", {"secret_shares": 5, "secret_threshold": 3},
                          self.one.recovery[:2]).body
        self.assertEqual((done["complete"], done["keys"], done["keys_base64"]), (True, [], []))
        self.again(self.one)
        self.assertTrue(self.root(self.one.recovery[:2]).body["complete"])

    def test_a_backup_of_encrypted_recovery_shares(self):
        path = "sys/rekey/recovery-key-backup"
        self.assertEqual(self.one.request("GET", path).status, 400)
        done = self.rekey("sys/rekey-recovery-key",
                          {"secret_shares": 1, "secret_threshold": 1, "pgp_keys": [PGP_KEY],
                           "backup": True}, self.one.recovery[:2]).body
        self.assertEqual(done["pgp_fingerprints"], [FINGERPRINT])
        kept = self.one.get(path).data
        self.assertEqual(kept["keys_base64"], {FINGERPRINT: done["keys_base64"]})
        self.assertEqual(kept["nonce"], done["nonce"])
        self.assertEqual(self.one.request("GET", "sys/rekey/backup").status, 400)
        shown = self.one.cli("operator", "rekey", "-target=recovery", "-backup-retrieve",
                             "-format=json")
        self.assertIn(FINGERPRINT, shown.stdout)
        gone = self.one.cli("operator", "rekey", "-target=recovery", "-backup-delete")
        self.assertEqual(gone.returncode, 0, gone.stderr)
        self.assertEqual(self.one.request("GET", path).status, 400)

    def test_the_command_line(self):
        begun = self.one.cli("operator", "rekey", "-target=recovery", "-init", "-key-shares=1",
                             "-key-threshold=1", "-format=json")
        self.assertEqual(begun.returncode, 0, begun.stderr)
        nonce = json.loads(begun.stdout)["nonce"]
        for key in self.one.recovery[:2]:
            done = self.one.cli("operator", "rekey", "-target=recovery", f"-nonce={nonce}",
                                "-format=json", key)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(self.root(json.loads(done.stdout)["keys_base64"]).body["complete"])

    def test_with_shares_there_is_no_recovery_key(self):
        other = self.server("shares").up()
        answer = other.request("GET", "sys/rekey-recovery-key/init", token="")
        self.assertEqual((answer.status, answer.body["errors"]),
                         (400, ["recovery rekeying not supported"]))


class Migration(Seals):
    """From one seal to another."""

    def shares(self, storage="lmdb"):
        """A server with the shares 3 of which 2 unseal, stopped."""
        server = self.sealed("", storage=storage).start()
        body = server.put("sys/init", {"secret_shares": 3, "secret_threshold": 2}, token="").body
        server.keys, server.root, server.threshold = body["keys_base64"], body["root_token"], 2
        server.unseal()
        server.put("sys/mounts/kv", {"type": "kv"})
        server.put("kv/a", {"b": "c"})
        self.assertEqual(server.stop(), 0)
        return server

    def migrate(self, server, keys):
        """The server runs and waits; the change is made."""
        self.assertTrue(self.status(server)["migration"])
        self.assertIn("Seal Migration in Progress", server.cli("status").stdout)
        answer = server.request("PUT", "sys/unseal", {"key": keys[0]}, token="")
        self.assertEqual((answer.status, answer.body["errors"]),
                         (500, ["migrate option not provided and seal migration is pending"]))
        for key in keys[:server.threshold]:
            done = server.cli("operator", "unseal", "-migrate", key)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertFalse(self.status(server)["sealed"])
        self.assertFalse(self.status(server)["migration"])
        self.assertEqual(server.get("kv/a").data, {"b": "c"})

    def test_from_shares_to_transit_and_back(self):
        peer, server = self.peer(), self.shares(storage="file")
        seal = self.transit(peer)
        self.configure(server, seal)
        server.start()
        self.wait_log(server, "entering seal migration mode")
        self.migrate(server, server.keys)
        status = self.status(server)
        self.assertEqual([status[k] for k in ("recovery_seal", "t", "n")], [True, 2, 3])
        self.again(server)                                     # by itself
        server.put("sys/seal")
        # the same people, the same keys
        self.assertFalse(self.give(server, server.keys)["sealed"])
        self.assertEqual(server.stop(), 0)

        self.configure(server, seal.replace('disabled = "false"', 'disabled = "true"'))
        server.start()
        time.sleep(0.5)
        self.assertTrue(self.status(server)["sealed"])
        self.migrate(server, server.keys)
        self.assertEqual(self.status(server)["recovery_seal"], False)
        core = server.data / "core"
        self.assertFalse((core / "_recovery-config").exists())
        self.assertFalse((core / "_recovery-key").exists())
        peer.stop()                                            # not needed any more
        for stanza in (seal.replace('disabled = "false"', 'disabled = "true"'), ""):
            self.assertEqual(server.stop(), 0)
            self.configure(server, stanza)
            server.start()
            self.assertFalse(self.status(server)["migration"])
            self.assertFalse(self.give(server, server.keys)["sealed"])
            self.assertEqual(server.get("kv/a").data, {"b": "c"})
        status = self.status(server)
        self.assertEqual([status[k] for k in ("type", "recovery_seal", "t", "n")],
                         ["shamir", False, 2, 3])

    def test_from_transit_to_transit(self):
        old, new = self.peer("old"), self.peer("new")
        seal = self.transit(old)
        server = self.up(seal)
        self.assertEqual(server.stop(), 0)
        off = seal.replace('disabled = "false"', 'disabled = "true"')
        self.configure(server, off + self.transit(new))
        server.start()
        self.wait_log(server, "cannot auto-unseal during seal migration")
        self.wait_log(server, f"Old Transit Address: {old.address}")
        self.migrate(server, server.recovery)
        self.again(server)                  # the disabled stanza is still there
        old.stop()
        self.configure(server, self.transit(new))
        self.again(server)
        server.put("sys/seal")
        self.assertFalse(self.give(server, server.recovery)["sealed"])

    def test_from_static_to_transit(self):
        peer, key = self.peer(), os.urandom(32).hex()
        server = self.up(self.static("k1", key))
        self.assertEqual(server.stop(), 0)
        self.configure(server, self.static("k1", key, disabled=True) + self.transit(peer))
        server.start()
        self.migrate(server, server.recovery)
        self.configure(server, self.transit(peer))
        self.again(server)

    def test_the_old_seal_must_stand_in_the_configuration(self):
        peer = self.peer()
        server = self.up(self.static("k1", os.urandom(32).hex()))
        self.assertEqual(server.stop(), 0)
        for stanza, text in (
                ("", 'cannot seal migrate from "static" to Shamir, no disabled seal in '
                     'configuration'),
                (self.transit(peer), 'cannot seal migrate from "static" to "transit", no disabled '
                                     'seal in configuration')):
            self.configure(server, stanza)
            server.spawn()
            self.assertEqual(server.wait(), 1)
            self.assertIn(text, server.log_text())

    def test_migrate_without_a_migration(self):
        server = self.shares().start()
        answer = server.request("PUT", "sys/unseal", {"key": server.keys[0], "migrate": True},
                                token="")
        self.assertEqual((answer.status, answer.body["errors"]),
                         (500, ["can't perform a seal migration, no migration seal found"]))

    def test_wrong_keys_change_nothing(self):
        peer, server = self.peer(), self.shares()
        self.configure(server, self.transit(peer))
        server.start()
        server.put("sys/unseal", {"key": server.keys[0], "migrate": True}, token="")
        wrong = spoilt(server.keys[1])
        answer = server.request("PUT", "sys/unseal", {"key": wrong, "migrate": True}, token="")
        self.assertEqual(answer.status, 500)
        self.assertTrue(self.status(server)["migration"])
        peer.stop()
        answer = [server.request("PUT", "sys/unseal", {"key": key, "migrate": True}, token="")
                  for key in server.keys[:2]][1]
        self.assertEqual(answer.status, 500)
        self.assertIn(peer.address, answer.body["errors"][0])
        self.assertTrue(self.status(server)["sealed"])
        peer.start().unseal()
        self.migrate(server, server.keys)
