/* The keys of storage "raft". */
#include "server/config_raft.h"

/* What is read here is only looked at. */
struct stanza {
    struct str text, upgrade_version;
    bool non_voter;
    int64_t ns;
};

struct target {
    struct str api_addr, auto_join, text;
    int64_t number;
};

#define IN_S(field) offsetof(struct stanza, field)
#define IN_T(field) offsetof(struct target, field)

static const struct config_key stanza_keys[] = {
    { "path", CONFIG_STR, IN_S(text), 0 },
    { "node_id", CONFIG_STR, IN_S(text), 0 },
    { "retry_join", CONFIG_ELSEWHERE, 0, 0 },
    { "retry_join_as_non_voter", CONFIG_BOOL, IN_S(non_voter), 0 },
    /* numbers, which the storage judges */
    { "performance_multiplier", CONFIG_ELSEWHERE, 0, 0 },
    { "trailing_logs", CONFIG_ELSEWHERE, 0, 0 },
    { "snapshot_threshold", CONFIG_ELSEWHERE, 0, 0 },
    { "max_entry_size", CONFIG_ELSEWHERE, 0, 0 },
    { "snapshot_interval", CONFIG_ELSEWHERE, 0, 0 },
    /* of all storages, and taken out before */
    { "redirect_addr", CONFIG_ELSEWHERE, 0, 0 },
    { "advertise_addr", CONFIG_ELSEWHERE, 0, 0 },
    { "cluster_addr", CONFIG_ELSEWHERE, 0, 0 },
    { "disable_clustering", CONFIG_ELSEWHERE, 0, 0 },
    /* Vault's, for a pace that we need not be told; upgrades and zones are its Enterprise's */
    { "autopilot_reconcile_interval", CONFIG_DURATION, IN_S(ns), 0 },
    { "autopilot_update_interval", CONFIG_DURATION, IN_S(ns), 0 },
    { "autopilot_upgrade_version", CONFIG_NO_EFFECT, 0, 0 },
    { "autopilot_redundancy_zone", CONFIG_NO_EFFECT, 0, 0 },
    { "apply_delay", CONFIG_NO_EFFECT, 0, 0 },
    { "snapshot_delay", CONFIG_NO_EFFECT, 0, 0 },
};

static const struct config_key target_keys[] = {
    { "leader_api_addr", CONFIG_STR, IN_T(api_addr), 0 },
    { "leader_tls_servername", CONFIG_STR, IN_T(text), 0 },
    { "leader_ca_cert", CONFIG_STR, IN_T(text), 0 },
    { "leader_client_cert", CONFIG_STR, IN_T(text), 0 },
    { "leader_client_key", CONFIG_STR, IN_T(text), 0 },
    { "leader_ca_cert_file", CONFIG_STR, IN_T(text), 0 },
    { "leader_client_cert_file", CONFIG_STR, IN_T(text), 0 },
    { "leader_client_key_file", CONFIG_STR, IN_T(text), 0 },
    { "auto_join", CONFIG_STR, IN_T(auto_join), 0 },
    { "auto_join_scheme", CONFIG_STR, IN_T(text), 0 },
    { "auto_join_port", CONFIG_INT, IN_T(number), 0 },
};

static int check_target(const struct config_reader *r, const struct hcl_block *b)
{
    struct target t = { 0 };
    if (b->value->type != HCL_OBJECT)
        return hcl_pos_error(r->err, b->value->pos, "retry_join: block expected, got %s",
                             hcl_type_name(b->value->type));
    TRY(config_table_read(r, b->value, target_keys, ARRAY_LEN(target_keys), &t));
    if (t.auto_join.n > 0)
        return hcl_pos_error(r->err, b->key.pos,
                             "retry_join: auto_join is not supported: name the members, each in a "
                             "block with its leader_api_addr");
    if (str_starts(t.api_addr, STR("https://")) || str_starts(t.api_addr, STR("http://")))
        return 0;
    return hcl_pos_error(r->err, b->key.pos,
                         "retry_join: leader_api_addr must be a member's URL, as in "
                         "\"https://10.0.0.1:8200\", got \"" STR_FMT "\"", STR_ARG(t.api_addr));
}

int config_raft_check(const struct config_reader *r, const struct hcl *stanza)
{
    struct stanza s = { 0 };
    const struct hcl_block *first = hcl_blocks(r->arena, stanza, STR("retry_join"), 0);
    TRY(config_table_read(r, stanza, stanza_keys, ARRAY_LEN(stanza_keys), &s));
    for (const struct hcl_block *b = first; b != NULL; b = b->next)
        TRY(check_target(r, b));
    if (!s.non_voter || first != NULL)
        return arena_check(r->arena, r->err);
    return hcl_pos_error(r->err, stanza->pos,
                         "retry_join_as_non_voter needs a retry_join block that says where to "
                         "join");
}
