# Example configuration of one node: copy it to /etc/coffer/coffer.hcl and put your names in.
# docs/configure.md lists every key.

storage "lmdb" {
  path = "/var/lib/coffer/data"
}

listener "tcp" {
  address       = "0.0.0.0:8200"
  tls_cert_file = "/etc/coffer/tls/server.crt"
  tls_key_file  = "/etc/coffer/tls/server.key"
}

# The address under which clients reach this node.
api_addr = "https://coffer.example.com:8200"

log_level = "info"
