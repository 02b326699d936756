/* Bench: nanoseconds to find a token's compiled policies and check a request against them. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/epoch.h"
#include "core/policy_builtin.h"
#include "core/policy_store.h"
#include "storage/driver.h"

enum { ROUNDS = 500000, TRIES = 5 };

static const char app[] =
    "path \"secret/data/app/*\" { capabilities = [\"create\", \"read\", \"update\"] }\n"
    "path \"secret/metadata/app/*\" { capabilities = [\"list\"] }\n"
    "path \"secret/data/+/shared\" { capabilities = [\"read\"] }\n"
    "path \"database/creds/app\" { capabilities = [\"read\"] }\n";
static const char team[] =
    "path \"transit/encrypt/team\" { capabilities = [\"update\"] }\n"
    "path \"transit/decrypt/team\" { capabilities = [\"update\"] }\n"
    "path \"pki/issue/team\" { capabilities = [\"update\"] "
    "allowed_parameters = { \"common_name\" = [\"*.example.com\"] \"ttl\" = [] } }\n";

static const struct policy_facts me = { .entity_id =
                                            STR_INIT("7d2e3179-f69b-450c-7179-ac8ee8bd8ca9"),
                                        .entity_name = STR_INIT("app-frontend") };

static const struct {
    const char *what;
    enum op op;
    struct str path;
    const struct policy_facts *facts;
} cases[] = {
    { "prefix, no entity", OP_READ, STR_INIT("secret/data/app/db/password"), NULL },
    { "prefix, entity", OP_READ, STR_INIT("secret/data/app/db/password"), &me },
    { "exact, no entity", OP_READ, STR_INIT("database/creds/app"), NULL },
    { "wildcard, no entity", OP_READ, STR_INIT("secret/data/other/shared"), NULL },
    { "refused, no entity", OP_READ, STR_INIT("sys/mounts/secret/tune"), NULL },
};

static void must(int rc)
{
    if (rc < 0)
        abort();
}

/* With ${whole}: what a request costs, finding the set included; else the check alone. */
static double measure(struct policy_store *s, const struct strs *names, size_t c, bool whole)
{
    double best = 1e9;
    for (int t = 0; t < TRIES; t++) {
        const struct policy_acl *acl = NULL;
        struct policy_verdict v;
        struct policy_question q = { .op = cases[c].op, .path = cases[c].path };
        int64_t start = clock_mono_ns(&clock_system);
        epoch_enter();
        must(policy_store_acl(s, names, cases[c].facts, &acl, NULL));
        for (int i = 0; i < ROUNDS; i++) {
            if (whole)
                must(policy_store_acl(s, names, cases[c].facts, &acl, NULL));
            (void)policy_acl_check(acl, &q, &v);
        }
        epoch_leave();
        double each = (double)(clock_mono_ns(&clock_system) - start) / ROUNDS;
        best = each < best ? each : best;
    }
    return best;
}

static double compile_ns(void)
{
    const struct policy *list[3];
    struct policy *p[3];
    must(policy_parse(policy_builtin_at(0)->text, &p[0], NULL));
    must(policy_parse(str_of(app), &p[1], NULL));
    must(policy_parse(str_of(team), &p[2], NULL));
    for (size_t i = 0; i < 3; i++)
        list[i] = p[i];
    int64_t start = clock_mono_ns(&clock_system);
    for (int i = 0; i < 10000; i++) {
        struct policy_acl *acl;
        must(policy_acl_compile(list, 3, &me, &acl, NULL));
        policy_acl_free(acl);
    }
    double each = (double)(clock_mono_ns(&clock_system) - start) / 10000;
    for (size_t i = 0; i < 3; i++)
        policy_free(p[i]);
    return each;
}

int main(void)
{
    struct storage *disk;
    struct policy_store *s;
    struct str list[] = { STR_INIT("app"), STR_INIT("default"), STR_INIT("team") };
    const struct strs names = { list, 3, 3 };
    must(storage_inmem.open(NULL, 0, &disk, NULL));
    must(policy_store_new(disk, &s, NULL));
    must(policy_store_start(s, NULL));
    must(policy_store_set(s, STR("app"), str_of(app), NULL));
    must(policy_store_set(s, STR("team"), str_of(team), NULL));
    for (size_t c = 0; c < ARRAY_LEN(cases); c++)
        printf("policy: %-20s check %4.0f ns, with finding the set %4.0f ns\n", cases[c].what,
               measure(s, &names, c, false), measure(s, &names, c, true));
    printf("policy: compile three policies %.0f ns\n", compile_ns());
    policy_store_free(s);
    storage_close(disk);
    return 0;
}
