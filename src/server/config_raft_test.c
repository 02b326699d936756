/* Tests of the stanza of storage "raft". */
#include "server/config_raft.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* One reading of the text between the braces. */
struct trial {
    struct arena *a;
    struct strs warnings;
    struct err err;
    int rc;
};

static void try_stanza(struct trial *t, const char *text)
{
    struct hcl *root;
    *t = (struct trial){ .a = arena_new() };
    assert_non_null(t->a);
    if (hcl_parse(t->a, STR("f.hcl"), str_of(text), &root, &t->err) < 0)
        fail_msg("%s", t->err.msg);
    t->rc = config_raft_check(&(struct config_reader){ t->a, &t->warnings, &t->err }, root);
}

static void try_fini(struct trial *t)
{
    arena_free(t->a);
}

static void all_keys_are_known(void **state)
{
    AUTO(try_fini) struct trial t;
    try_stanza(&t, "path = \"/d\"\nnode_id = \"n\"\nperformance_multiplier = \"1\"\n"
                   "trailing_logs = 10\nsnapshot_threshold = 20\nmax_entry_size = 2000000\n"
                   "snapshot_interval = \"5s\"\nretry_join_as_non_voter = \"true\"\n"
                   "autopilot_reconcile_interval = \"10s\"\nautopilot_update_interval = 2\n"
                   "cluster_addr = \"https://a:1\"\n"
                   "retry_join {\n leader_api_addr = \"http://a:1\"\n leader_ca_cert = \"x\"\n"
                   " leader_client_cert_file = \"x\"\n leader_client_key_file = \"x\"\n"
                   " leader_tls_servername = \"x\"\n}\n");
    assert_int_equal(t.rc, 0);
    assert_int_equal(t.warnings.n, 0);
}

static void unknown_keys_are_warnings_with_their_place(void **state)
{
    AUTO(try_fini) struct trial t;
    try_stanza(&t, "path = \"/d\"\npth = 1\nretry_join {\n leader_api_addr = \"http://a:1\"\n"
                   " leader_ca = \"x\"\n}\n");
    assert_int_equal(t.rc, 0);
    assert_int_equal(t.warnings.n, 2);
    assert_string_equal(t.warnings.v[0].p,
                        "unknown or unsupported field pth found in configuration at f.hcl:2:1");
    assert_string_equal(t.warnings.v[1].p, "unknown or unsupported field leader_ca found in "
                                           "configuration at f.hcl:5:2");
}

static void keys_that_do_nothing_here_are_warnings(void **state)
{
    AUTO(try_fini) struct trial t;
    try_stanza(&t, "path = \"/d\"\nautopilot_upgrade_version = \"1.2.3\"\n");
    assert_int_equal(t.rc, 0);
    assert_int_equal(t.warnings.n, 1);
    assert_non_null(strstr(t.warnings.v[0].p, "autopilot_upgrade_version has no effect"));
}

static void what_cannot_be_meant_is_refused(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        { "path = []", "path: string expected" },
        { "node_id = true", "node_id: string expected" },
        { "autopilot_update_interval = \"often\"", "autopilot_update_interval: duration" },
        { "retry_join_as_non_voter = \"perhaps\"", "retry_join_as_non_voter: true or false" },
        { "retry_join_as_non_voter = true", "needs a retry_join block" },
        { "retry_join {}", "leader_api_addr must be a member's URL" },
        { "retry_join { leader_api_addr = \"10.0.0.1:8200\" }", "got \"10.0.0.1:8200\"" },
        { "retry_join { leader_api_addr = 5 }", "leader_api_addr must be a member's URL" },
        { "retry_join { auto_join = \"provider=aws\" }", "auto_join is not supported" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(try_fini) struct trial t;
        try_stanza(&t, cases[i].text);
        assert_int_equal(t.rc, -1);
        assert_int_equal(t.err.code, ERR_BAD_REQUEST);
        if (strstr(t.err.msg, cases[i].says) == NULL)
            fail_msg("%s: %s", cases[i].text, t.err.msg);
        assert_non_null(strstr(t.err.msg, "f.hcl:1:"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_keys_are_known),
        cmocka_unit_test(unknown_keys_are_warnings_with_their_place),
        cmocka_unit_test(keys_that_do_nothing_here_are_warnings),
        cmocka_unit_test(what_cannot_be_meant_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
