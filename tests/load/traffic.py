"""Actors that use one server all at once, each holding the server to what it may rely on.

Python 3 standard library only.  An actor is a function run over and over in a thread of its own; it
returns nothing, or raises Broken with what did not hold.  While the server is being sealed and
unsealed requests may fail with 503; an actor's turn that saw such a moment proves nothing and is
given up.
"""
import http.client
import json
import random
import threading
import time
import uuid


class Broken(Exception):
    """Something that must always hold did not."""


class Interrupted(Exception):
    """The server was sealed meanwhile."""


class World:
    """What the actors share: the server, and whether it is being sealed."""

    def __init__(self, server, seed):
        self.server, self.seed = server, seed
        self.done = threading.Event()
        self.mu = threading.Lock()
        self.generation = 0             # odd: sealed, or about to be
        self.requests = 0
        self.failures = []

    def fail(self, text):
        with self.mu:
            self.failures.append(text)


class Client:
    """A thread's own connection; counts, and knows a failure that the sealing explains."""

    def __init__(self, world, name):
        self.world, self.name = world, name
        self.random = random.Random(f"{world.seed} {name}")
        self.connection, self.began = None, 0

    def begin(self):
        self.began = self.world.generation

    def undisturbed(self):
        return self.began % 2 == 0 and self.began == self.world.generation

    def call(self, method, path, body=None, token=None, expect=(200, 204), headers=None):
        """(status, parsed body); raises Broken for a status that is not expected."""
        fields = dict(headers or {})
        token = self.world.server.root if token is None else token
        if token:
            fields["X-Vault-Token"] = token
        status, answer = self.exchange(method, path, None if body is None else json.dumps(body),
                                       fields)
        if expect is not None and status not in expect:
            if not self.undisturbed():
                raise Interrupted
            raise Broken(f"{method} {path}: {status} {str(answer)[:300]}, expected {expect}")
        if status >= 500 and self.undisturbed():
            raise Broken(f"{method} {path}: {status} {str(answer)[:300]}")
        return status, answer

    def exchange(self, method, path, payload, fields):
        for fresh in (False, True):
            if self.connection is None or fresh:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.world.server.port,
                                                             timeout=60)
                fresh = True
            try:
                self.connection.request(method, "/v1/" + path, payload, fields)
                response = self.connection.getresponse()
                raw = response.read()
                self.world.requests += 1
                return response.status, json.loads(raw) if raw else None
            except (http.client.HTTPException, OSError) as trouble:
                self.connection.close()
                self.connection = None
                if fresh:
                    raise Broken(f"{method} {path}: {trouble!r}") from trouble
        raise AssertionError("unreachable")

    def get(self, path, **more):
        return self.call("GET", path, **more)[1]

    def put(self, path, body=None, **more):
        return self.call("PUT", path, body, **more)[1]

    def drop(self, path, **more):
        return self.call("DELETE", path, **more)[1]

    def token(self, **parameters):
        return self.put("auth/token/create", {"policies": ["load"], **parameters})["auth"]

    def refused(self, token):
        """The token must be of no use any more."""
        status, answer = self.call("GET", "auth/token/lookup-self", token=token, expect=None)
        if status != 403 and self.undisturbed():
            raise Broken(f"a dead token is answered with {status} {str(answer)[:200]}")


def must(client, holds, text):
    if not holds and client.undisturbed():
        raise Broken(text)


# ---- the actors

def kv1(c):
    """What was written is read back, listed, and gone when deleted."""
    key, value = f"{c.name}/{c.random.randrange(50)}", uuid.uuid4().hex * c.random.randrange(1, 9)
    c.put(f"kv1/{key}", {"value": value})
    for _ in range(3):
        got = c.get(f"kv1/{key}", token=c.world.app)
        must(c, got["data"] == {"value": value}, f"kv1/{key}: {got} is not what was written")
    names = c.call("LIST", f"kv1/{c.name}")[1]["data"]["keys"]
    must(c, key.split("/")[1] in names, f"kv1/{key} is not listed")
    if c.random.random() < 0.3:
        c.drop(f"kv1/{key}")
        c.call("GET", f"kv1/{key}", expect=(404,))


def kv2(c):
    """Versions count up by one, and hold what was written."""
    path, value = f"{c.name}/{c.random.randrange(10)}", uuid.uuid4().hex
    before = c.call("GET", f"kv2/data/{path}", expect=(200, 404))
    last = before[1]["data"]["metadata"]["version"] if before[0] == 200 else None
    written = c.put(f"kv2/data/{path}", {"data": {"value": value}})["data"]["version"]
    must(c, last is None or written == last + 1, f"kv2 {path}: version {last}, then {written}")
    got = c.get(f"kv2/data/{path}", token=c.world.app)["data"]
    must(c, got["data"] == {"value": value} and got["metadata"]["version"] == written,
         f"kv2 {path}: {got} is not what was written")
    if c.random.random() < 0.1:
        c.drop(f"kv2/metadata/{path}")
        c.call("GET", f"kv2/data/{path}", expect=(404,))


def cas(c):
    """Of writers that meet at one version one wins."""
    path = f"kv2/data/shared/{c.random.randrange(3)}"
    status, body = c.call("GET", path, expect=(200, 404))
    version = body["data"]["metadata"]["version"] if status == 200 else 0
    mine = uuid.uuid4().hex
    status, body = c.call("PUT", path, {"options": {"cas": version}, "data": {"by": mine}},
                          expect=(200, 400))
    if status == 200:
        must(c, body["data"]["version"] == version + 1, f"cas: {version} became {body}")
        kept = c.get(f"{path}?version={version + 1}")["data"]["data"]
        must(c, kept == {"by": mine}, f"cas: two writers of version {version + 1}")


def login(c):
    """A login's token works until it is revoked."""
    user = f"{c.name}-{c.random.randrange(4)}"
    c.put(f"auth/userpass/users/{user}", {"password": "long enough", "token_policies": "load"})
    auth = c.put(f"auth/userpass/login/{user}", {"password": "long enough"}, token="")["auth"]
    c.get("auth/token/lookup-self", token=auth["client_token"])
    c.put("auth/token/renew-self", {}, token=auth["client_token"])
    c.call("PUT", f"auth/userpass/login/{user}", {"password": "wrong"}, token="", expect=(400,))
    c.put("auth/token/revoke-self", token=auth["client_token"])
    c.refused(auth["client_token"])


def tree(c):
    """Revoking a token revokes all below it, and none beside it."""
    top = c.token()["client_token"]
    orphan = c.put("auth/token/create", {"policies": ["load"], "no_parent": True})["auth"]
    below = []
    for _ in range(c.random.randrange(1, 4)):
        child = c.put("auth/token/create", {"policies": ["load"]}, token=top)["auth"]
        below.append(child["client_token"])
        below.append(c.put("auth/token/create", {}, token=child["client_token"])["auth"]
                     ["client_token"])
    how = c.random.choice(["revoke", "revoke-accessor", "revoke-self"])
    if how == "revoke":
        c.put("auth/token/revoke", {"token": top})
    elif how == "revoke-self":
        c.put("auth/token/revoke-self", token=top)
    else:
        accessor = c.get("auth/token/lookup-self", token=top)["data"]["accessor"]
        c.put("auth/token/revoke-accessor", {"accessor": accessor})
    for token in [top] + below:
        c.refused(token)
    c.get("auth/token/lookup-self", token=orphan["client_token"])
    c.put("auth/token/revoke-orphan", {"token": orphan["client_token"]})
    c.refused(orphan["client_token"])


def few_uses(c):
    """A token of n uses is good for n requests, however many ask at once."""
    uses = c.random.randrange(2, 6)
    token = c.token(num_uses=uses)["client_token"]
    served = []

    def use(number):
        own = Client(c.world, f"{c.name}-use{number}")
        own.begin()
        for _ in range(uses):
            status, _ = own.call("GET", "kv1/steady", token=token, expect=None)
            served.append(status)
        own.connection.close()

    together(use, 3)
    must(c, served.count(200) == uses, f"{uses} uses, but served {served.count(200)}: {served}")


def together(work, n):
    threads = [threading.Thread(target=work, args=(i,)) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def short_life(c):
    """A token is of no use after its time."""
    auth = c.put("auth/token/create", {"policies": ["load"], "ttl": "1s"})["auth"]
    c.call("GET", "kv1/steady", token=auth["client_token"], expect=(200, 403))
    if c.world.done.wait(1.2):
        return
    c.refused(auth["client_token"])


def policy(c):
    """A changed policy counts from the next request on."""
    name = f"own-{c.name}"
    token = None
    for caps, expected in ((["read"], 200), (["deny"], 403), (["read", "list"], 200)):
        c.put(f"sys/policies/acl/{name}",
              {"policy": f'path "kv1/steady" {{ capabilities = {json.dumps(caps)} }}'})
        if token is None:
            token = c.token(policies=[name])["client_token"]
        c.call("GET", "kv1/steady", token=token, expect=(expected,))
    c.drop(f"sys/policies/acl/{name}")
    c.call("GET", "kv1/steady", token=token, expect=(403,))
    c.put("auth/token/revoke", {"token": token})


def mount(c):
    """Mounts come, are tuned, moved and go while others use them."""
    path = f"m{c.random.randrange(3)}-{c.name}"
    moved = f"{path}-moved"
    for left in (path, moved):          # by a turn that was given up
        c.drop(f"sys/mounts/{left}")
    c.put(f"sys/mounts/{path}", {"type": "kv", "options": {"version": "1"}})
    c.put(f"{path}/a", {"v": 1})
    c.put(f"sys/mounts/{path}/tune", {"default_lease_ttl": "1h", "description": uuid.uuid4().hex})
    must(c, c.get(f"{path}/a")["data"] == {"v": 1}, f"{path}: lost")
    c.put("sys/remount", {"from": path, "to": moved})
    must(c, c.get(f"{moved}/a")["data"] == {"v": 1}, f"{moved}: lost")
    c.call("GET", f"{path}/a", expect=(404,))
    c.drop(f"sys/mounts/{moved}")
    c.call("GET", f"{moved}/a", expect=(404,))


def auth_mount(c):
    """Logins of an auth method that goes are revoked."""
    path = f"up-{c.name}"
    c.drop(f"sys/auth/{path}")
    c.put(f"sys/auth/{path}", {"type": "userpass"})
    c.put(f"auth/{path}/users/u", {"password": "long enough", "token_policies": "load"})
    token = c.put(f"auth/{path}/login/u", {"password": "long enough"}, token="")["auth"]
    c.get("auth/token/lookup-self", token=token["client_token"])
    c.drop(f"sys/auth/{path}")
    c.refused(token["client_token"])


def visitor(c):
    """Reads of mounts that come and go are answered, whatever the answer."""
    for number in range(3):
        path = f"m{number}-mount-{c.random.randrange(2)}"
        c.call("GET", f"{path}/a", expect=(200, 400, 403, 404))
        c.call("PUT", f"{path}/b", {"x": "y"}, expect=(200, 204, 400, 403, 404))
    c.get("sys/mounts")
    c.get("sys/internal/ui/mounts", token=c.world.app)
    c.put("sys/capabilities-self", {"path": "kv1/a"}, token=c.world.app)


def overview(c):
    """What an operator looks at."""
    for path in ("sys/auth", "sys/policies/acl?list=true", "sys/key-status", "sys/audit",
                 "auth/token/accessors?list=true", "sys/metrics", "sys/internal/specs/openapi",
                 "sys/leader", "sys/seal-status", "sys/host-info"):
        c.call("GET", path, expect=(200, 404))
    c.call("LIST", "sys/leases/lookup/auth/token/create", expect=(200, 404))
    c.world.done.wait(0.2)


def audit(c):
    """Devices come and go; entries are whole lines of JSON."""
    name, file = f"file-{c.name}", c.world.server.dir / f"audit-{c.name}.log"
    c.drop(f"sys/audit/{name}")
    c.put(f"sys/audit/{name}", {"type": "file", "options": {"file_path": str(file)}})
    c.put(f"sys/audit-hash/{name}", {"input": "text"})
    c.world.done.wait(0.1)
    c.drop(f"sys/audit/{name}")
    with open(file, encoding="utf-8") as lines:
        for line in lines:
            json.loads(line)
    file.write_text("")


def rotate(c):
    """Keys change under everyone's hands."""
    c.put("sys/rotate")
    c.put("transit/keys/k/rotate")
    c.world.done.wait(0.3)


def transit(c):
    """What was encrypted is decrypted, whatever the key's newest version."""
    text = uuid.uuid4().hex + "=="
    sealed = c.put("transit/encrypt/k", {"plaintext": text[:32]})["data"]["ciphertext"]
    back = c.put("transit/decrypt/k", {"ciphertext": sealed})["data"]["plaintext"]
    must(c, back == text[:32], "transit: another text came back")
    c.put("transit/rewrap/k", {"ciphertext": sealed})


def wrapping(c):
    """A wrapped answer is given once, to one of those who ask at once."""
    value = uuid.uuid4().hex
    token = c.put("sys/wrapping/wrap", {"v": value},
                  headers={"X-Vault-Wrap-TTL": "60s"})["wrap_info"]["token"]
    got = []

    def unwrap(number):
        own = Client(c.world, f"{c.name}-unwrap{number}")
        own.begin()
        status, answer = own.call("PUT", "sys/wrapping/unwrap", token=token, expect=None)
        if status == 200:
            got.append(answer["data"])
        own.connection.close()

    together(unwrap, 3)
    must(c, got == [{"v": value}], f"unwrapped {len(got)} times: {got}")


def batch(c):
    """Batch tokens work, and die with their parent."""
    parent = c.token()["client_token"]
    token = c.put("auth/token/create", {"type": "batch"}, token=parent)["auth"]["client_token"]
    c.get("kv1/steady", token=token)
    c.put("auth/token/revoke", {"token": parent})
    c.refused(token)


def cubbyhole(c):
    """Each token has its own drawer."""
    one, two = c.token()["client_token"], c.token()["client_token"]
    c.put("cubbyhole/x", {"of": "one"}, token=one)
    c.call("GET", "cubbyhole/x", token=two, expect=(404,))
    must(c, c.get("cubbyhole/x", token=one)["data"] == {"of": "one"}, "cubbyhole: lost")
    for token in (one, two):
        c.put("auth/token/revoke-self", token=token)


def sealing(c):
    """Seal, and unseal again; whatever was under way ends in order."""
    c.world.done.wait(c.random.uniform(4, 7))
    if c.world.done.is_set():
        return
    c.world.generation += 1
    try:
        time.sleep(0.05)
        c.put("sys/seal", expect=(204,))
        c.call("GET", "sys/health", expect=(503,))
        time.sleep(c.random.uniform(0, 0.3))
        c.world.server.unseal()
    finally:
        time.sleep(0.2)         # answers on their way were made while sealed
        c.world.generation += 1


ACTORS = {actor.__name__: (actor, threads) for actor, threads in (
    (kv1, 2), (kv2, 2), (cas, 2), (login, 1), (tree, 2), (few_uses, 1), (short_life, 2),
    (policy, 2), (mount, 2), (auth_mount, 1), (visitor, 1), (overview, 1), (audit, 1), (rotate, 1),
    (transit, 1), (wrapping, 1), (batch, 1), (cubbyhole, 1))}


def prepare(world):
    """What all actors use."""
    put, server = world.server.put, world.server
    put("sys/mounts/kv1", {"type": "kv", "options": {"version": "1"}})
    put("sys/mounts/kv2", {"type": "kv", "options": {"version": "2"}})
    put("sys/mounts/transit", {"type": "transit"})
    put("transit/keys/k")
    put("sys/auth/userpass", {"type": "userpass"})
    put("kv1/steady", {"v": 1})
    every = '["create", "read", "update", "delete", "list"]'
    put("sys/policies/acl/load", {"policy": f"""
path "kv1/*" {{ capabilities = {every} }}
path "kv2/*" {{ capabilities = {every} }}
path "auth/token/create" {{ capabilities = ["update"] }}
path "cubbyhole/*" {{ capabilities = {every} }}"""})
    end = time.monotonic() + 30     # a new versioned mount takes a moment
    while server.request("PUT", "kv2/data/probe", {"data": {}}).status != 200:
        if time.monotonic() > end:
            raise Broken("kv2 does not become usable")
        time.sleep(0.05)
    auth = put("auth/token/create", {"policies": ["load"], "ttl": "10h"}).body["auth"]
    world.app = auth["client_token"]


def work(world, actor, name):
    """The life of an actor's thread."""
    client = Client(world, name)
    while not world.done.is_set() and len(world.failures) < 20:
        client.begin()
        if not client.undisturbed() and actor is not sealing:
            time.sleep(0.05)
            continue
        try:
            actor(client)
        except Interrupted:
            pass
        except Broken as trouble:
            if client.undisturbed() or actor is sealing:
                world.fail(f"{name}: {trouble}")
        except (TypeError, KeyError) as trouble:
            if client.undisturbed():
                world.fail(f"{name}: {trouble!r}")


def run(server, seconds, seed, seals=True, only=None):
    """All actors for so long; (number of requests, list of what did not hold)."""
    world = World(server, seed)
    prepare(world)
    crew = [(actor, f"{name}-{i}") for name, (actor, n) in ACTORS.items() for i in range(n)
            if not only or name in only]
    if seals:
        crew.append((sealing, "sealing"))
    threads = [threading.Thread(target=work, args=(world, actor, name)) for actor, name in crew]
    for thread in threads:
        thread.start()
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.running() and len(world.failures) < 20:
        time.sleep(0.2)
    world.done.set()
    for thread in threads:
        thread.join()
    return world.requests, world.failures
