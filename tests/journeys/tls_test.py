"""TLS: client certificates, and certificates replaced while running.  openssl makes them."""
import shutil
import signal
import ssl
import subprocess
import time
import unittest

from harness import Journey


def openssl(directory, *arguments):
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def authority(directory, name):
    openssl(directory, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.crt", "-subj", f"/CN={name}",
            "-days", "1", "-addext", "keyUsage=keyCertSign")


def certificate(directory, name, ca, serial):
    """name.crt and name.key for 127.0.0.1, for server and client."""
    (directory / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    openssl(directory, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
    openssl(directory, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.crt", "-CAkey",
            f"{ca}.key", "-set_serial", str(serial), "-days", "1", "-extfile", "names",
            "-out", f"{name}.crt")


@unittest.skipUnless(shutil.which("openssl"), "no openssl here")
class Tls(Journey):
    """Listeners with certificates."""

    def setUp(self):
        super().setUp()
        authority(self.dir, "ca")
        certificate(self.dir, "server", "ca", 7001)

    def trust(self, client=None):
        context = ssl.create_default_context(cafile=self.dir / "ca.crt")
        if client:
            context.load_cert_chain(self.dir / f"{client}.crt", self.dir / f"{client}.key")
        return context

    def listening(self, more="", client=None):
        listener = (f'tls_cert_file = "{self.dir}/server.crt"\n'
                    f'  tls_key_file = "{self.dir}/server.key"\n  {more}')
        return self.server(listener=listener, tls=self.trust(client))

    def serial(self, server):
        connection = server.connection()
        connection.connect()
        serial = int(connection.sock.getpeercert()["serialNumber"], 16)
        connection.close()
        return serial

    def test_it_serves_with_its_certificate(self):
        server = self.listening().up()
        self.assertEqual(server.get("sys/health").status, 200)
        self.assertEqual(self.serial(server), 7001)

    def test_an_older_protocol_than_asked_for_is_refused(self):
        server = self.listening('tls_min_version = "tls13"').up()
        server.tls = self.trust()
        server.tls.maximum_version = ssl.TLSVersion.TLSv1_2
        with self.assertRaises((ssl.SSLError, OSError)):
            server.request("GET", "sys/health", token="")

    def test_plain_http_to_a_tls_port_is_refused(self):
        server = self.listening().up()
        server.tls = None
        try:
            self.assertEqual(server.request("GET", "sys/health", token="").status, 400)
        except OSError:
            pass

    def test_a_client_certificate_is_asked_for_and_checked(self):
        certificate(self.dir, "client", "ca", 7002)
        authority(self.dir, "stranger-ca")
        certificate(self.dir, "stranger", "stranger-ca", 7003)
        server = self.listening(f'tls_client_ca_file = "{self.dir}/ca.crt"\n'
                                '  tls_require_and_verify_client_cert = true', "client").up()
        self.assertEqual(server.get("sys/health").status, 200)
        for who in (None, "stranger"):
            with self.subTest(who):
                server.tls = self.trust(who)
                with self.assertRaises((ssl.SSLError, OSError)):
                    server.request("GET", "sys/health", token="")

    def test_sighup_takes_the_new_certificate_and_keeps_connections(self):
        server = self.listening().up()
        old = server.connection()
        server.request("GET", "sys/health", token="", connection=old)
        certificate(self.dir, "server", "ca", 7004)
        server.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 10
        while self.serial(server) != 7004:
            self.assertLess(time.monotonic(), end, "the old certificate is still served")
        answer = server.request("GET", "sys/health", token="", connection=old)
        self.assertEqual(answer.status, 200)

    def test_sighup_with_a_broken_certificate_keeps_the_old_one(self):
        server = self.listening().up()
        (self.dir / "server.crt").write_text("no certificate\n")
        server.process.send_signal(signal.SIGHUP)
        self.assertEqual(server.get("sys/health").status, 200)
        self.assertEqual(self.serial(server), 7001)

    def test_a_missing_certificate_ends_the_start_with_its_name(self):
        server = self.listening()
        (self.dir / "server.crt").unlink()
        self.assertNotEqual(server.spawn().wait(), 0)
        self.assertIn("server.crt", server.log_text())

    def test_the_command_line_trusts_what_it_is_told(self):
        server = self.listening().up()
        self.assertEqual(server.cli("status").returncode, 1)
        trusted = server.cli("status", f"-ca-cert={self.dir}/ca.crt")
        self.assertEqual(trusted.returncode, 0, trusted.stderr)
