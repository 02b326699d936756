/* Operator_rekey: "operator rekey": split a new root key into new shares. */
#include <stdio.h>

#include "cmd/api.h"
#include "cmd/commands.h"
#include "cmd/output.h"
#include "cmd/pgp_keys.h"
#include "cmd/prompt.h"

static const struct flag rekey_flags[] = {
    { .name = "init", .kind = FLAG_BOOL,
      .help = "Begin. -key-shares and -key-threshold say how the new key is split." },
    { .name = "cancel", .kind = FLAG_BOOL,
      .help = "Stop, and forget the shares that were entered so far." },
    { .name = "status", .kind = FLAG_BOOL, .help = "Print how far it is." },
    { .name = "key-shares", .kind = FLAG_INT, .alias = "n", .fallback = "5",
      .help = "Number of new shares." },
    { .name = "key-threshold", .kind = FLAG_INT, .alias = "t", .fallback = "3",
      .help = "Number of new shares that will be needed to unseal." },
    { .name = "nonce", .kind = FLAG_STRING,
      .help = "The nonce that -init printed; to be given with each share on the command line." },
    { .name = "target", .kind = FLAG_STRING, .fallback = "barrier",
      .help = "\"barrier\": the shares that unseal; \"recovery\": the recovery shares of a seal "
              "that "
              "unseals by itself." },
    { .name = "verify", .kind = FLAG_BOOL,
      .help = "With -init: the new shares only count when enough of them were entered once. Else: "
              "the share, -status or -cancel is about that check." },
    { .name = "pgp-keys", .kind = FLAG_LIST,
      .help = "Files with OpenPGP public keys, commas between them, that the new shares are "
              "encrypted to. Keybase names (keybase:NAME) are not fetched." },
};

static const struct flag backup_flags[] = {
    { .name = "backup", .kind = FLAG_BOOL,
      .help = "Keep the encrypted new shares in the store too. Only with -pgp-keys." },
    { .name = "backup-delete", .kind = FLAG_BOOL, .help = "Delete the kept shares." },
    { .name = "backup-retrieve", .kind = FLAG_BOOL, .help = "Print the kept shares." },
};

/* The API's names for what -target chooses. */
struct target {
    bool recovery;
    const char *base;   /* "sys/rekey" */
    const char *backup; /* "sys/rekey/backup" */
};

/* 0, or the exit status. */
static int choose_target(struct command_run *run, struct target *t)
{
    struct str name = str_trim(flags_str(run->flags, "target"));
    if (str_eq_nocase(name, STR("barrier"))) {
        *t = (struct target){ false, "sys/rekey", "sys/rekey/backup" };
        return 0;
    }
    if (str_eq_nocase(name, STR("recovery")) || str_eq_nocase(name, STR("hsm"))) {
        *t = (struct target){ true, "sys/rekey-recovery-key", "sys/rekey/recovery-key-backup" };
        return 0;
    }
    return command_fail(run, 1, "Unknown target: " STR_FMT, STR_ARG(name));
}

static const char *join(struct command_run *run, const char *base, const char *last)
{
    return arena_printf(run->arena, "%s/%s", base, last).p;
}

/* ---- status ---- */

static long long number(const struct json *v, const char *name)
{
    return (long long)json_get_int(v, name, 0);
}

static const char *truth(const struct json *v, const char *name)
{
    return json_get_bool(v, name, false) ? "true" : "false";
}

static void rekey_rows(struct table *t, const struct json *s)
{
    struct str nonce = json_get_str(s, "nonce"), check = json_get_str(s, "verification_nonce");
    const struct json *prints = json_member(s, "pgp_fingerprints");
    table_pair(t, "Nonce", STR_FMT, STR_ARG(nonce));
    table_pair(t, "Started", "%s", truth(s, "started"));
    if (json_get_bool(s, "started", false)) {
        bool all = number(s, "progress") == number(s, "required");
        table_pair(t, "Rekey Progress", "%lld/%lld%s", number(s, "progress"),
                   number(s, "required"), all ? " (verification in progress)" : "");
        table_pair(t, "New Shares", "%lld", number(s, "n"));
        table_pair(t, "New Threshold", "%lld", number(s, "t"));
        table_pair(t, "Verification Required", "%s", truth(s, "verification_required"));
        if (check.n > 0)
            table_pair(t, "Verification Nonce", STR_FMT, STR_ARG(check));
    }
    if (json_is(prints, JSON_ARRAY) && prints->count > 0) {
        struct strs list = { 0 };
        for (const struct json *p = prints->first; p != NULL; p = p->next)
            strs_add(t->arena, &list, p->text);
        struct str joined = strs_join(t->arena, &list, STR(" "));
        table_pair(t, "PGP Fingerprints", "[" STR_FMT "]", STR_ARG(joined));
        table_pair(t, "Backup", "%s", truth(s, "backup"));
    }
}

static void verification_rows(struct table *t, const struct json *s)
{
    struct str nonce = json_get_str(s, "nonce");
    table_pair(t, "Started", "%s", truth(s, "started"));
    table_pair(t, "New Shares", "%lld", number(s, "n"));
    table_pair(t, "New Threshold", "%lld", number(s, "t"));
    table_pair(t, "Verification Nonce", STR_FMT, STR_ARG(nonce));
    table_pair(t, "Verification Progress", "%lld/%lld", number(s, "progress"), number(s, "t"));
}

/* The answer without the envelope that newer servers add. */
static int print_status(struct command_run *run, const struct json *s, bool verify)
{
    if (!command_is_table(run))
        return output_value(run, s);
    struct table t = { .arena = run->arena };
    table_key_value(&t);
    if (verify)
        verification_rows(&t, s);
    else
        rekey_rows(&t, s);
    output_table(run, &t, true);
    return 0;
}

static int status(struct command_run *run, const struct target *target, bool verify)
{
    struct api_answer answer;
    if (api_get(run, join(run, target->base, verify ? "verify" : "init"), &answer) < 0)
        return command_fail(run, 2, "Error reading rekey status: " STR_FMT,
                            STR_ARG(answer.error));
    return print_status(run, answer.json, verify);
}

/* ---- init, cancel ---- */

static int init(struct command_run *run, const struct target *target)
{
    struct api_answer answer;
    struct json *keys, *body = json_object(run->arena);
    bool backup = flags_bool(run->flags, "backup");
    if (pgp_keys_read(run, "pgp-keys", &keys) < 0)
        return 1;
    json_put_int(body, "secret_shares", flags_int(run->flags, "key-shares"));
    json_put_int(body, "secret_threshold", flags_int(run->flags, "key-threshold"));
    json_put_int(body, "stored_shares", 0);
    bool encrypted = keys != NULL && keys->count > 0;
    json_put(body, "pgp_keys", keys != NULL ? keys : json_null(run->arena));
    json_put_bool(body, "backup", backup);
    json_put_bool(body, "require_verification", flags_bool(run->flags, "verify"));
    if (api_put(run, join(run, target->base, "init"), body, &answer) < 0)
        return command_fail(run, 2, "Error initializing rekey: " STR_FMT, STR_ARG(answer.error));
    if (command_is_table(run) && (!encrypted || !backup)) {
        command_caution(run, encrypted
            ? "WARNING! The new shares will be encrypted, but not kept in the store. Whoever loses "
              "them cannot get them back. Think of -cancel and beginning again with -backup."
            : "WARNING! The new shares will be shown once. Whoever loses them cannot get them "
              "back. Think of -cancel and beginning again with -pgp-keys and -backup.");
        command_gap(run);
    }
    return print_status(run, answer.json, false);
}

static int cancel(struct command_run *run, const struct target *target, bool verify)
{
    struct api_answer answer;
    if (api_delete(run, join(run, target->base, verify ? "verify" : "init"), &answer) < 0)
        return command_fail(run, 2, "Error canceling rekey: " STR_FMT, STR_ARG(answer.error));
    command_say(run, "Success! Canceled rekeying (if it was started)");
    return 0;
}

/* ---- entering a share ---- */

static void print_new_shares(const struct command_run *run, const struct json *r)
{
    const struct json *hex = json_member(r, "keys"), *b64 = json_member(r, "keys_base64");
    const struct json *print = json_first(json_member(r, "pgp_fingerprints"));
    bool both = b64 != NULL && hex != NULL && b64->count == hex->count;
    size_t n = 1;
    command_gap(run);
    for (const struct json *k = json_first(both ? b64 : hex); k != NULL; k = k->next, n++) {
        if (print == NULL) {
            command_say(run, "Key %zu: " STR_FMT, n, STR_ARG(k->text));
            continue;
        }
        command_say(run, "Key %zu fingerprint: " STR_FMT "; value: " STR_FMT, n,
                    STR_ARG(print->text), STR_ARG(k->text));
        print = print->next;
    }
    struct str nonce = json_get_str(r, "nonce");
    command_say(run, "\nOperation nonce: " STR_FMT, STR_ARG(nonce));
}

static int finished(struct command_run *run, const struct target *target, const struct json *s,
                    const struct json *r)
{
    if (!command_is_table(run))
        return output_value(run, r);
    print_new_shares(run, r);
    if (json_get_bool(r, "backup", false) && json_first(json_member(r, "pgp_fingerprints")) != NULL)
        command_say(run, "\nThe encrypted shares are kept in the store at \"%s\".\n"
                         "They stay there until \"vault operator rekey -backup-delete%s\".",
                    target->recovery ? "core/recovery-keys-backup" : "core/unseal-keys-backup",
                    target->recovery ? " -target=recovery" : "");
    command_gap(run);
    if (json_first(json_member(r, "keys")) == NULL) {
        command_tell(run, "The root key was made anew. The server's seal keeps it: there are no "
                          "shares of it, and the recovery shares stay as they are.");
        return 0;
    }
    if (!json_get_bool(s, "verification_required", false)) {
        command_tell(run, "The %s key was split anew into %lld shares, of which %lld are needed%s. "
                          "The old shares count no more. Hand the new ones to different people "
                          "over safe ways.", target->recovery ? "recovery" : "root",
                     number(s, "n"), number(s, "t"), target->recovery ? "" : " to unseal");
        return 0;
    }
    command_tell(run, "A new key was split into %lld shares, of which %lld will be needed. They do "
                      "not count yet: enter enough of them once, with \"vault operator rekey "
                      "-verify\".", number(s, "n"), number(s, "t"));
    command_gap(run);
    command_caution(run, "Keep the old shares until then. After -cancel, or when the server is "
                         "sealed before the check is done, the old ones stay in force.");
    command_gap(run);
    return status(run, target, true);
}

/* The share and the nonce it belongs to; 0 or the exit status. */
static int share_and_nonce(struct command_run *run, const struct json *s, struct buf *key,
                           struct str *nonce)
{
    struct str now = json_get_str(s, "nonce");
    struct str line = arena_printf(run->arena, "Rekey operation nonce: " STR_FMT, STR_ARG(now));
    int asked = prompt_share(run, run->n_args == 1 ? run->args[0] : NULL, line.p, key);
    if (asked < 0)
        return 1;
    *nonce = asked ? now : flags_str(run->flags, "nonce");
    if (nonce->n == 0)
        return command_fail(run, 1, "Missing nonce value: specify it via the -nonce flag");
    return 0;
}

static int provide(struct command_run *run, const struct target *target, bool verify)
{
    struct api_answer state, answer;
    AUTO(buf_free) struct buf key = { 0 };
    struct str nonce;
    if (api_get(run, join(run, target->base, verify ? "verify" : "init"), &state) < 0)
        return command_fail(run, 2, "Error getting rekey status: " STR_FMT, STR_ARG(state.error));
    if (!json_get_bool(state.json, "started", false))
        return command_fail(run, 1, "No rekey is in progress. Start a rekey process by running\n"
                                    "\"vault operator rekey -init\".");
    int rc = share_and_nonce(run, state.json, &key, &nonce);
    if (rc != 0)
        return rc;
    struct json *body = json_object(run->arena);
    json_put_str(body, "key", buf_str(&key));
    json_put_str(body, "nonce", nonce);
    if (api_put(run, join(run, target->base, verify ? "verify" : "update"), body, &answer) < 0)
        return command_fail(run, 2, "Error posting unseal key: " STR_FMT, STR_ARG(answer.error));
    if (!json_get_bool(answer.json, "complete", false))
        return status(run, target, verify);
    if (!verify)
        return finished(run, target, state.json, answer.json);
    command_say(run, "Rekey verification successful. The rekey operation is complete and the new\n"
                     "keys are now active.");
    return 0;
}

/* ---- the kept shares ---- */

static int backup_retrieve(struct command_run *run, const struct target *target)
{
    struct api_answer answer;
    if (api_get(run, target->backup, &answer) < 0)
        return command_fail(run, 2, "Error retrieving rekey stored keys: " STR_FMT,
                            STR_ARG(answer.error));
    struct json *secret = json_object(run->arena), *data = json_member(answer.json, "data");
    json_put(secret, "data", json_copy(run->arena, data != NULL ? data : answer.json));
    return output_secret(run, secret);
}

static int backup_delete(struct command_run *run, const struct target *target)
{
    struct api_answer answer;
    if (api_delete(run, target->backup, &answer) < 0)
        return command_fail(run, 2, "Error deleting rekey stored keys: " STR_FMT,
                            STR_ARG(answer.error));
    command_say(run, "Success! Delete stored keys (if they existed)");
    return 0;
}

static int rekey_run(struct command_run *run)
{
    struct target target = { 0 };
    bool verify = flags_bool(run->flags, "verify");
    if (!command_args(run, 0, 1))
        return 1;
    int rc = choose_target(run, &target);
    if (rc != 0)
        return rc;
    if (flags_bool(run->flags, "backup-delete"))
        return backup_delete(run, &target);
    if (flags_bool(run->flags, "backup-retrieve"))
        return backup_retrieve(run, &target);
    if (flags_bool(run->flags, "cancel"))
        return cancel(run, &target, verify);
    if (flags_bool(run->flags, "init"))
        return init(run, &target);
    if (flags_bool(run->flags, "status"))
        return status(run, &target, verify);
    return provide(run, &target, verify);
}

const struct command command_operator_rekey = {
    .name = "operator rekey",
    .usage = "operator rekey [options] [KEY]",
    .summary = "Generates new unseal keys",
    .help = "  Makes a new root key and new shares, which takes enough of the present shares. "
            "One person\n"
            "  begins with -init; then each holder of a share enters it. KEY \"-\" is standard "
            "input;\n"
            "  without KEY it is asked for, and not shown.\n\n"
            "      $ vault operator rekey -init -key-shares=5 -key-threshold=3\n"
            "      $ vault operator rekey",
    .run = rekey_run,
    .options = COMMAND_HTTP | COMMAND_FORMAT,
    COMMAND_FLAGS(rekey_flags),
    COMMAND_MORE_FLAGS(backup_flags),
};
