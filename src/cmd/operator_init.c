/* Operator_init: "operator init": make the root key, its shares and the first root token. */
#include "cmd/api.h"
#include "cmd/commands.h"
#include "cmd/output.h"
#include "cmd/pgp_keys.h"

static const struct flag init_flags[] = {
    { .name = "status", .kind = FLAG_BOOL,
      .help = "Only tell whether the server is initialised: exit status 0 yes, 2 no, 1 error." },
    { .name = "key-shares", .kind = FLAG_INT, .alias = "n", .fallback = "5",
      .help = "Number of shares that the root key is split into." },
    { .name = "key-threshold", .kind = FLAG_INT, .alias = "t", .fallback = "3",
      .help = "Number of shares that are needed to unseal; at most -key-shares." },
    { .name = "pgp-keys", .kind = FLAG_LIST,
      .help = "Files with OpenPGP public keys, commas between them, one for each share: each share "
              "is encrypted to its key. Keybase names (keybase:NAME) are not fetched." },
    { .name = "root-token-pgp-key", .kind = FLAG_LIST,
      .help = "File with an OpenPGP public key that the root token is encrypted to." },
    { .name = "stored-shares", .kind = FLAG_INT, .hidden = true, .help = "Has no effect." },
    { .name = "recovery-shares", .kind = FLAG_INT, .fallback = "5",
      .help = "Number of recovery shares, when the seal unseals by itself." },
    { .name = "recovery-threshold", .kind = FLAG_INT, .fallback = "3",
      .help = "Number of recovery shares that are needed, when the seal unseals by itself." },
    { .name = "recovery-pgp-keys", .kind = FLAG_LIST,
      .help = "As -pgp-keys, for the recovery shares." },
};

static int init_status(struct command_run *run)
{
    struct api_answer answer;
    if (api_get(run, "sys/init", &answer) < 0) /* 2 means "not initialised" here */
        return command_fail(run, 1, "Error checking init status: " STR_FMT,
                            STR_ARG(answer.error));
    bool done = json_get_bool(answer.json, "initialized", false);
    if (command_is_table(run)) {
        command_say(run, done ? "Vault is initialized" : "Vault is not initialized");
    } else {
        struct json *o = json_object(run->arena);
        json_put_bool(o, "Initialized", done);
        output_value(run, o);
    }
    return done ? 0 : 2;
}

static void print_keys(const struct command_run *run, const char *title, const struct json *keys,
                       const struct json *keys_base64)
{
    const struct json *b = json_first(keys_base64);
    bool both = keys != NULL && keys_base64 != NULL && keys->count == keys_base64->count;
    size_t n = 1;
    for (const struct json *k = json_first(keys); k != NULL; k = k->next, n++) {
        struct str text = both ? b->text : k->text;
        command_say(run, "%s %zu: " STR_FMT, title, n, STR_ARG(text));
        b = b != NULL ? b->next : NULL;
    }
}

static void explain_shares(const struct command_run *run, long long shares, long long threshold)
{
    command_gap(run);
    command_tell(run, "The root key was split into %lld key shares, of which %lld are needed to "
                      "unseal. Hand them to different people over safe ways: after each restart, "
                      "and whenever the server was sealed, %lld of them must be entered before it "
                      "answers requests.", shares, threshold, threshold);
    command_gap(run);
    command_tell(run, "The root key itself is kept nowhere. Whoever loses so many shares that "
                      "fewer than %lld are left loses all data for good!", threshold);
    command_gap(run);
    command_tell(run, "New shares can be made as long as %lld of the old ones are at hand: see "
                      "\"vault operator rekey\".", threshold);
}

static int print_init(struct command_run *run, const struct json *answer)
{
    const struct json *keys = json_member(answer, "keys");
    const struct json *recovery = json_member(answer, "recovery_keys");
    bool has_keys = keys != NULL && keys->count > 0;
    bool has_recovery = recovery != NULL && recovery->count > 0;
    print_keys(run, "Unseal Key", keys, json_member(answer, "keys_base64"));
    print_keys(run, "Recovery Key", recovery, json_member(answer, "recovery_keys_base64"));
    struct str token = json_get_str(answer, "root_token");
    command_say(run, "\nInitial Root Token: " STR_FMT, STR_ARG(token));
    if (has_keys)
        explain_shares(run, (long long)flags_int(run->flags, "key-shares"),
                       (long long)flags_int(run->flags, "key-threshold"));
    else
        command_say(run, "\nSuccess! Vault is initialized");
    if (has_recovery) {
        command_gap(run);
        command_tell(run, "The recovery key was split into %lld shares, of which %lld are needed. "
                          "Hand them to different people over safe ways.",
                     (long long)flags_int(run->flags, "recovery-shares"),
                     (long long)flags_int(run->flags, "recovery-threshold"));
        if (flags_given(run->flags, "key-shares") || flags_given(run->flags, "key-threshold"))
            command_caution(run, "WARNING! -key-shares and -key-threshold count for nothing with a "
                                 "seal that unseals by itself; -recovery-shares and "
                                 "-recovery-threshold do.");
    }
    return 0;
}

static void put_list(struct json *to, const char *name, const struct json *list)
{
    json_put(to, name, json_is(list, JSON_ARRAY) ? json_copy(to->arena, list)
                                                 : json_array(to->arena));
}

/* The names that scripts read from -format=json. */
static struct json *machine_form(struct command_run *run, const struct json *answer)
{
    struct json *o = json_object(run->arena);
    const struct json *keys = json_member(answer, "keys");
    bool has_keys = keys != NULL && keys->count > 0;
    if (o == NULL)
        return NULL;
    o->keep_order = true;
    put_list(o, "unseal_keys_b64", json_member(answer, "keys_base64"));
    put_list(o, "unseal_keys_hex", keys);
    json_put_int(o, "unseal_shares", has_keys ? flags_int(run->flags, "key-shares") : 1);
    json_put_int(o, "unseal_threshold", has_keys ? flags_int(run->flags, "key-threshold") : 1);
    put_list(o, "recovery_keys_b64", json_member(answer, "recovery_keys_base64"));
    put_list(o, "recovery_keys_hex", json_member(answer, "recovery_keys"));
    json_put_int(o, "recovery_keys_shares", flags_int(run->flags, "recovery-shares"));
    json_put_int(o, "recovery_keys_threshold", flags_int(run->flags, "recovery-threshold"));
    json_put_str(o, "root_token", json_get_str(answer, "root_token"));
    return o;
}

static int init_body(struct command_run *run, struct json *body)
{
    struct json *keys, *root_key, *recovery_keys;
    TRY(pgp_keys_read(run, "pgp-keys", &keys));
    TRY(pgp_keys_read(run, "root-token-pgp-key", &root_key));
    TRY(pgp_keys_read(run, "recovery-pgp-keys", &recovery_keys));
    json_put_int(body, "secret_shares", flags_int(run->flags, "key-shares"));
    json_put_int(body, "secret_threshold", flags_int(run->flags, "key-threshold"));
    json_put_int(body, "stored_shares", 0);
    json_put(body, "pgp_keys", keys != NULL ? keys : json_null(run->arena));
    json_put_int(body, "recovery_shares", flags_int(run->flags, "recovery-shares"));
    json_put_int(body, "recovery_threshold", flags_int(run->flags, "recovery-threshold"));
    json_put(body, "recovery_pgp_keys",
             recovery_keys != NULL ? recovery_keys : json_null(run->arena));
    json_put_str(body, "root_token_pgp_key",
                 root_key != NULL && root_key->first != NULL ? root_key->first->text : STR(""));
    return 0;
}

static int init_run(struct command_run *run)
{
    struct api_answer answer;
    struct json *body = json_object(run->arena);
    if (!command_args(run, 0, 0))
        return 1;
    if (flags_bool(run->flags, "status"))
        return init_status(run);
    if (init_body(run, body) < 0)
        return 1;
    if (api_put(run, "sys/init", body, &answer) < 0)
        return command_fail(run, 2, "Error initializing: " STR_FMT, STR_ARG(answer.error));
    if (command_is_table(run))
        return print_init(run, answer.json);
    return output_value(run, machine_form(run, answer.json));
}

const struct command command_operator_init = {
    .name = "operator init",
    .usage = "operator init [options]",
    .summary = "Initializes a server",
    .help = "  Prepares a new store: makes the root key, splits it into shares (Shamir), and "
            "makes the\n"
            "  first root token. This is done once, on one server of a cluster. What it prints is\n"
            "  shown this one time only.\n\n"
            "  With the defaults, five shares of which three unseal:\n\n"
            "      $ vault operator init\n\n"
            "  With shares that only their owners can read:\n\n"
            "      $ vault operator init -key-shares=3 -key-threshold=2 \\\n"
            "          -pgp-keys=ann.asc,bob.asc,eve.asc",
    .run = init_run,
    .options = COMMAND_HTTP | COMMAND_FORMAT,
    COMMAND_FLAGS(init_flags),
};
