"""Clients that mean ill: malformed requests, floods, half requests; the server answers and lives."""
import http.client
import resource
import socket
import time

import harness

HALVES = 5000               # connections that each send half a request
HALVES_BYTES = HALVES * (24 << 10)     # what they may cost the server in all

HOST = b"Host: x\r\n"

# What the server is sent, none of which is a request.
MALFORMED = [
    b"GET\r\n\r\n",
    b"GET /\r\n\r\n",
    b"GET  /v1/sys/health HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /v1/sys/health  HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /v1/sys/health HTTP/1.1 \r\n" + HOST + b"\r\n",
    b"GET v1/sys/health HTTP/1.1\r\n" + HOST + b"\r\n",
    b"G\x01T /v1/sys/health HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /v1/\x00 HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /v1/sys/health HTTP/1.1\n" + b"Host: x\n\n",
    b"GET /v1/sys/health HTTP/1.1\r\n\r\n",
    b"GET /v1/sys/health HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    b"GET /v1/sys/health HTTP/1.1\r\nHost : x\r\n\r\n",
    b"GET /v1/sys/health HTTP/1.1\r\n" + HOST + b" folded: x\r\n\r\n",
    b"GET /v1/sys/health HTTP/1.1\r\n" + HOST + b"nocolon\r\n\r\n",
    b"GET /v1/sys/health HTTP/1.1\r\n" + HOST + b": empty name\r\n\r\n",
    b"GET /v1/sys/health HTTP/1.1\r\n" + HOST + b"A: \x00\r\n\r\n",
    b"GET /v1/sys/health HTTP/1.1\r\n" + HOST + b"A: a\rb\r\n\r\n",
    b"GET /v1/%zz HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /v1/a%0d%0ab HTTP/1.1\r\n" + HOST + b"\r\n",
    b"PUT /v1/sys/init HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n",
    b"PUT /v1/sys/init HTTP/1.1\r\n" + HOST + b"Content-Length: 1x\r\n\r\n",
    b"PUT /v1/sys/init HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"PUT /v1/sys/init HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999999999999\r\n\r\n",
    b"PUT /v1/sys/init HTTP/1.1\r\n" + HOST
    + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"PUT /v1/sys/init HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    b"PUT /v1/sys/init HTTP/1.1\r\n" + HOST
    + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n",
]

BAD_JSON = [b"{", b"[", b"}", b"nul", b'"text"', b"17", b"[1]", b'{"a":}', b'{"a" "b"}', b"{'a':1}",
            b'{"a":"\\x"}', b'{"a":01}', b"{" * 1000, b"[" * 200000, b'{"a":' * 20000,
            b"\xff\xfe", b"\x00"]


class Hostile(harness.Journey):

    def setUp(self):
        super().setUp()
        self.one = self.server(storage="inmem").up()

    def lives(self):
        """The server answers others, as before."""
        self.assertTrue(self.one.running(), self.one.log_text()[-2000:])
        self.assertEqual(self.one.request("GET", "sys/health", token="").status, 200)

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.one.port), 20)

    def status_of(self, raw):
        """Status of the answer to these bytes; 0 when the connection was only closed."""
        with self.connect() as s:
            try:
                s.sendall(raw)
                s.shutdown(socket.SHUT_WR)
                answer = s.recv(65536)
            except ConnectionError:
                return 0
        return int(answer.split()[1]) if answer.startswith(b"HTTP/1.1 ") else 0

    def rss(self):
        with open(f"/proc/{self.one.process.pid}/status", encoding="ascii") as status:
            line = next(line for line in status if line.startswith("VmRSS"))
        return int(line.split()[1]) << 10

    def test_what_is_no_request_is_refused(self):
        for raw in MALFORMED:
            with self.subTest(raw=raw[:80]):
                self.assertIn(self.status_of(raw), range(400, 500))
        self.lives()

    def test_what_is_no_json_is_refused(self):
        for path in ("sys/mounts/x", "auth/userpass/login/x", "sys/unseal", "sys/init",
                     "sys/policies/acl/x", "auth/token/create", "sys/wrapping/unwrap"):
            for body in BAD_JSON:
                with self.subTest(path=path, body=body[:40]):
                    connection = self.one.connection()
                    connection.request("PUT", "/v1/" + path, body,
                                       {"X-Vault-Token": self.one.root})
                    status = connection.getresponse().status
                    connection.close()
                    self.assertIn(status, range(400, 500))
        self.lives()

    def test_odd_paths_do_no_harm(self):
        self.one.put("sys/mounts/kv", {"type": "kv"})
        for path in ("kv/../sys/raw", "kv//a", "kv/%2e%2e/%2e%2e/a", "kv/" + "a" * 60000, "kv/%00",
                     "kv/" + "/".join(["d"] * 5000), "kv/%ff%fe", "kv/a%2f..%2fb", "%2e%2e", "",
                     "sys/policies/acl/" + "p" * 30000, "auth/" + "../" * 3000, "sys/mounts/%2f"):
            for method in ("GET", "PUT", "DELETE", "LIST"):
                with self.subTest(path=path[:60], method=method):
                    body = None if method != "PUT" else {"v": "w"}
                    self.assertLess(self.one.request(method, path, body).status, 500)
        self.lives()

    def test_too_much_is_refused(self):
        head = b"GET /v1/sys/health HTTP/1.1\r\n" + HOST
        self.assertIn(self.status_of(head + b"A: " + b"x" * (4 << 20) + b"\r\n\r\n"), (0, 431))
        self.assertIn(self.status_of(head + b"A: x\r\n" * 400000 + b"\r\n"), (0, 400, 431))
        self.assertIn(self.status_of(b"GET /" + b"x" * (4 << 20)), (0, 414, 431))
        connection = self.one.connection()
        try:
            connection.request("PUT", "/v1/sys/policies/acl/x", b'{"policy":"' + b"x" * (33 << 20),
                               {"X-Vault-Token": self.one.root})
            self.assertIn(connection.getresponse().status, (400, 413))
        except (http.client.HTTPException, OSError):
            pass        # closed while we were still sending
        finally:
            connection.close()
        self.lives()

    def test_many_parameters_do_not_hold_up_others(self):
        query = "&".join(f"p{i}" for i in range(120000))
        self.assertIn(self.one.request("GET", "sys/nothing?" + query, token="").status,
                      range(400, 500))
        connection = self.one.connection()
        connection.request("PUT", "/v1/sys/nothing", "&".join(f"p{i}=" for i in range(500000)),
                           {"Content-Type": "application/x-www-form-urlencoded"})
        self.assertIn(connection.getresponse().status, range(400, 500))
        connection.close()
        self.lives()

    def test_half_requests_cost_little_and_end(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY and hard < HALVES + 200:
            self.skipTest("too few descriptors")
        resource.setrlimit(resource.RLIMIT_NOFILE, (HALVES + 200, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        self.one.stop()
        self.one.start().init().unseal()    # inherits the limit
        before, open_ones = self.rss(), []
        try:
            for i in range(HALVES):
                s = self.connect()
                s.sendall((b"GET /v1/sys/health HTTP/1.1\r\nHost: x\r\nX-Half: " + b"y" * 500,
                           b"PUT /v1/sys/unseal HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000"
                           b"\r\n\r\n{")[i % 2])
                open_ones.append(s)
            self.lives()
            self.assertLess(self.rss() - before, HALVES_BYTES)
            # The time limit of a head is 10 s, of a body 30 s: the first are let go.
            open_ones[0].settimeout(25)
            self.assertIn(open_ones[0].recv(4096)[:12], (b"", b"HTTP/1.1 408"))
        finally:
            for s in open_ones:
                s.close()
        self.lives()

    def test_a_flood_of_connections_passes(self):
        for _ in range(2000):
            self.connect().close()
        self.lives()

    def test_one_byte_at_a_time_is_still_a_request(self):
        with self.connect() as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in b"GET /v1/sys/health HTTP/1.1\r\n" + HOST + b"\r\n":
                s.sendall(bytes([byte]))
                time.sleep(0.002)
            self.assertTrue(s.recv(100).startswith(b"HTTP/1.1 200"))
