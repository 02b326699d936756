# Example configuration of one node: copy it to /etc/coffer/coffer.hcl and put your names in.
# docs/configure.md lists every key.

storage "lmdb" {
  path = "/var/lib/coffer/data"
}

# A node of a cluster has this instead, and cluster_addr below; see docs/cluster.md.
# storage "raft" {
#   path    = "/var/lib/coffer/data"
#   node_id = "node-1"
#   retry_join {                       # each of the other nodes
#     leader_api_addr     = "https://node-2.example.com:8200"
#     leader_ca_cert_file = "/etc/coffer/tls/ca.crt"
#   }
# }

listener "tcp" {
  address       = "0.0.0.0:8200"
  tls_cert_file = "/etc/coffer/tls/server.crt"
  tls_key_file  = "/etc/coffer/tls/server.key"
}

# The address under which clients reach this node.
api_addr = "https://coffer.example.com:8200"

# The address under which the other nodes of a cluster reach it.
# cluster_addr = "https://node-1.example.com:8201"

log_level = "info"
