"""Drives a running, empty server with hvac: from init to transit.  VAULT_ADDR names it."""
import base64
import os

import hvac

POLICY = 'path "kv2/data/app/*" { capabilities = ["create", "read", "update"] }'
client = hvac.Client(url=os.environ["VAULT_ADDR"])


def refused(call, error):
    """The call must fail in this way."""
    try:
        call()
    except error:
        return
    raise AssertionError(f"{error.__name__} expected")


def unseal():
    assert not client.sys.is_initialized()
    keys = client.sys.initialize(secret_shares=3, secret_threshold=2)
    assert client.sys.is_initialized() and client.sys.is_sealed()
    client.sys.submit_unseal_keys(keys["keys"][:2])
    assert not client.sys.is_sealed()
    client.token = keys["root_token"]
    assert client.is_authenticated()


def kv1():
    client.sys.enable_secrets_engine("kv", path="kv1", options={"version": "1"})
    client.secrets.kv.v1.create_or_update_secret("app", {"a": "b"}, mount_point="kv1")
    assert client.secrets.kv.v1.read_secret("app", mount_point="kv1")["data"] == {"a": "b"}
    assert client.secrets.kv.v1.list_secrets("", mount_point="kv1")["data"]["keys"] == ["app"]
    client.secrets.kv.v1.delete_secret("app", mount_point="kv1")
    refused(lambda: client.secrets.kv.v1.read_secret("app", mount_point="kv1"),
            hvac.exceptions.InvalidPath)


def kv2():
    client.sys.enable_secrets_engine("kv", path="kv2", options={"version": "2"})
    kv = client.secrets.kv.v2
    for number in (1, 2, 3):
        kv.create_or_update_secret("app/one", {"n": number}, mount_point="kv2")
    read = kv.read_secret_version("app/one", mount_point="kv2", raise_on_deleted_version=True)
    assert (read["data"]["data"], read["data"]["metadata"]["version"]) == ({"n": 3}, 3)
    refused(lambda: kv.create_or_update_secret("app/one", {}, cas=1, mount_point="kv2"),
            hvac.exceptions.InvalidRequest)
    kv.patch("app/one", {"more": True}, mount_point="kv2")
    kv.delete_secret_versions("app/one", [2], mount_point="kv2")
    refused(lambda: kv.read_secret_version("app/one", 2, mount_point="kv2",
                                           raise_on_deleted_version=True),
            hvac.exceptions.InvalidPath)
    kv.undelete_secret_versions("app/one", [2], mount_point="kv2")
    kv.destroy_secret_versions("app/one", [1], mount_point="kv2")
    versions = kv.read_secret_metadata("app/one", mount_point="kv2")["data"]["versions"]
    assert versions["1"]["destroyed"] and not versions["2"]["deletion_time"]


def policies_and_userpass():
    client.sys.create_or_update_policy("app", POLICY)
    assert client.sys.read_policy("app")["data"]["rules"] == POLICY
    client.sys.enable_auth_method("userpass")
    client.auth.userpass.create_or_update_user("ann", "pw", "app")
    user = hvac.Client(url=os.environ["VAULT_ADDR"])
    refused(lambda: user.auth.userpass.login("ann", "wrong"), hvac.exceptions.InvalidRequest)
    user.auth.userpass.login("ann", "pw")
    assert user.lookup_token()["data"]["policies"] == ["app", "default"]
    user.secrets.kv.v2.create_or_update_secret("app/two", {"a": "b"}, mount_point="kv2")
    refused(lambda: user.secrets.kv.v2.list_secrets("app", mount_point="kv2"),
            hvac.exceptions.Forbidden)
    user.auth.token.renew_self()
    user.auth.token.revoke_self()
    refused(user.lookup_token, hvac.exceptions.Forbidden)


def transit():
    client.sys.enable_secrets_engine("transit")
    keys = client.secrets.transit
    keys.create_key("app")
    plain = base64.b64encode(b"plain").decode()
    sealed = keys.encrypt_data("app", plain)["data"]["ciphertext"]
    assert sealed.startswith("vault:v1:")
    keys.rotate_key("app")
    again = keys.rewrap_data("app", sealed)["data"]["ciphertext"]
    assert again.startswith("vault:v2:")
    for text in (sealed, again):
        assert keys.decrypt_data("app", text)["data"]["plaintext"] == plain
    refused(lambda: keys.decrypt_data("app", sealed[:-4] + "AAA="),
            hvac.exceptions.InternalServerError)


for step in (unseal, kv1, kv2, policies_and_userpass, transit):
    step()
    print("ok", step.__name__)
