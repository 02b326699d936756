"""What a listener's stanza promises: who its proxies are, and how long a request may take."""
import socket

import harness
from harness import Journey

SECOND = 'listener "tcp" {{ address = "127.0.0.1:{port}"\n tls_disable = true\n {keys} }}'


def talk(port, text):
    """Send a text on a connection of its own, read to its end."""
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.sendall(text.encode())
        answer = b""
        try:
            while part := connection.recv(65536):
                answer += part
        except ConnectionResetError:
            pass
        return answer.decode()


class Duration(Journey):
    """max_request_duration."""

    def test_a_request_past_its_time_is_refused_and_changes_nothing(self):
        port = harness.free_port()
        server = self.server(
            extra=SECOND.format(port=port, keys='max_request_duration = "1ns"')).up()
        server.put("sys/mounts/kv", {"type": "kv"})
        body = '{"a":"b"}'
        for method, path in (("PUT", "kv/late"), ("GET", "kv/late"), ("PUT", "sys/mounts/late")):
            answer = talk(port, f"{method} /v1/{path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                                f"X-Vault-Token: {server.root}\r\n"
                                f"Content-Length: {len(body)}\r\n\r\n{body}")
            self.assertIn(" 503 ", answer.splitlines()[0])
            self.assertIn("context deadline exceeded", answer)
        self.assertEqual(server.request("GET", "kv/late").status, 404)
        self.assertNotIn("late/", server.get("sys/mounts").data)


class Proxies(Journey):
    """proxy_protocol_behavior, seen by a token that is bound to the client's address."""

    def lookup(self, port, token):
        answer = talk(port, "PROXY TCP4 192.0.2.7 127.0.0.1 1234 8200\r\n"
                            "GET /v1/auth/token/lookup-self HTTP/1.1\r\nHost: a\r\n"
                            f"Connection: close\r\nX-Vault-Token: {token}\r\n\r\n")
        return answer.split(" ")[1] if answer else None

    def test_only_listed_proxies_name_the_client(self):
        rules = (("use_always", "", "200"),
                 ("allow_authorized", "127.0.0.0/8", "200"),
                 ("allow_authorized", "192.0.2.0/24", "403"),
                 ("deny_unauthorized", "127.0.0.1", "200"),
                 ("deny_unauthorized", "192.0.2.7", None))
        ports, extra = [], ""
        for behavior, addresses, _ in rules:
            port = harness.free_port()
            while port in ports:
                port = harness.free_port()
            ports.append(port)
            keys = f'proxy_protocol_behavior = "{behavior}"\n'
            if addresses:
                keys += f'proxy_protocol_authorized_addrs = "{addresses}"'
            extra += SECOND.format(port=port, keys=keys) + "\n"
        server = self.server(extra=extra).up()
        server.put("auth/token/roles/bound", {"token_bound_cidrs": ["192.0.2.7"]})
        token = server.put("auth/token/create/bound",
                           {"policies": ["default"]}).body["auth"]["client_token"]
        for port, (behavior, addresses, expected) in zip(ports, rules):
            with self.subTest(behavior=behavior, addresses=addresses):
                self.assertEqual(self.lookup(port, token), expected)
