/* Operator_generate_root: "operator generate-root": a new root token by a quorum of shares. */
#include "base/random.h"
#include "cmd/api.h"
#include "cmd/commands.h"
#include "cmd/output.h"
#include "cmd/pgp_keys.h"
#include "cmd/prompt.h"
#include "codec/base64.h"

static const struct flag generate_root_flags[] = {
    { .name = "init", .kind = FLAG_BOOL, .help = "Begin, with -otp or -pgp-key." },
    { .name = "cancel", .kind = FLAG_BOOL,
      .help = "Stop, and forget the shares that were entered so far." },
    { .name = "status", .kind = FLAG_BOOL, .help = "Print how far it is." },
    { .name = "decode", .kind = FLAG_STRING,
      .help = "The encoded token that the last share gave; with -otp it is decoded." },
    { .name = "generate-otp", .kind = FLAG_BOOL, .help = "Print a fresh one-time password." },
    { .name = "dr-token", .kind = FLAG_BOOL, .help = "Make a token for disaster recovery." },
    { .name = "recovery-token", .kind = FLAG_BOOL, .help = "Make a token for recovery mode." },
    { .name = "otp", .kind = FLAG_STRING, .help = "The one-time password, for -init or -decode." },
    { .name = "pgp-key", .kind = FLAG_LIST,
      .help = "File with an OpenPGP public key that the token is encrypted to. Keybase names "
              "(keybase:NAME) are not fetched." },
    { .name = "nonce", .kind = FLAG_STRING,
      .help = "The nonce that -init printed; to be given with each share on the command line." },
};

static const char *attempt_path(struct command_run *run)
{
    return flags_bool(run->flags, "dr-token")
               ? "sys/replication/dr/secondary/generate-operation-token/attempt"
           : flags_bool(run->flags, "recovery-token") ? "sys/generate-recovery-token/attempt"
                                                      : "sys/generate-root/attempt";
}

static const char *update_path(struct command_run *run)
{
    return flags_bool(run->flags, "dr-token")
               ? "sys/replication/dr/secondary/generate-operation-token/update"
           : flags_bool(run->flags, "recovery-token") ? "sys/generate-recovery-token/update"
                                                      : "sys/generate-root/update";
}

/* ---- status ---- */

static void text_row(struct table *t, const char *title, struct str value)
{
    table_pair(t, title, STR_FMT, STR_ARG(value));
}

static int print_status(struct command_run *run, const struct json *s)
{
    struct table t = { .arena = run->arena };
    struct str otp = json_get_str(s, "otp"), encoded = json_get_str(s, "encoded_token");
    int64_t length = json_get_int(s, "otp_length", 0);
    if (!command_is_table(run))
        return output_value(run, s);
    text_row(&t, "Nonce", json_get_str(s, "nonce"));
    table_pair(&t, "Started", "%s", json_get_bool(s, "started", false) ? "true" : "false");
    table_pair(&t, "Progress", "%lld/%lld", (long long)json_get_int(s, "progress", 0),
               (long long)json_get_int(s, "required", 0));
    table_pair(&t, "Complete", "%s", json_get_bool(s, "complete", false) ? "true" : "false");
    if (json_get_str(s, "pgp_fingerprint").n > 0)
        text_row(&t, "PGP Fingerprint", json_get_str(s, "pgp_fingerprint"));
    if (encoded.n > 0)
        text_row(&t, "Encoded Token", encoded);
    else if (json_get_str(s, "encoded_root_token").n > 0)
        text_row(&t, "Encoded Root Token", json_get_str(s, "encoded_root_token"));
    if (otp.n > 0) {
        command_caution(run, "The one-time password below was made for you. It is needed to decode "
                             "the token at the end: keep it safe.");
        text_row(&t, "OTP", otp);
    }
    if (length != 0)
        table_pair(&t, "OTP Length", "%lld", (long long)length);
    output_table(run, &t, false);
    return 0;
}

/* 0, or the exit status. */
static int ask_status(struct command_run *run, struct api_answer *answer)
{
    if (api_get(run, attempt_path(run), answer) == 0)
        return 0;
    return command_fail(run, 2, "Error getting root generation status: " STR_FMT,
                        STR_ARG(answer->error));
}

static int status(struct command_run *run)
{
    struct api_answer answer;
    int rc = ask_status(run, &answer);
    return rc != 0 ? rc : print_status(run, answer.json);
}

/* ---- one-time passwords ---- */

static int generate_otp(struct command_run *run)
{
    struct api_answer answer;
    int rc = ask_status(run, &answer);
    if (rc != 0)
        return rc;
    int64_t length = json_get_int(answer.json, "otp_length", 0);
    struct str otp;
    if (length <= 0 || length > 1024) { /* a server from before lengths were told */
        char bytes[16];
        random_fill(bytes, sizeof bytes);
        otp = base64_encode(run->arena, str_mem(bytes, sizeof bytes));
    } else {
        char *text = arena_bytes(run->arena, (size_t)length + 1);
        if (text == NULL)
            return command_out_of_memory(run);
        random_base62(text, (size_t)length);
        otp = str_mem(text, (size_t)length);
    }
    if (command_is_table(run))
        return output_raw(run, otp);
    struct json *o = json_object(run->arena);
    json_put_str(o, "otp", otp);
    json_put_int(o, "otp_length", (int64_t)otp.n);
    return output_value(run, o);
}

/* Base64 with or without its padding. */
static int decode_base64(struct command_run *run, struct str text, struct str *out,
                         struct err *err)
{
    static const char padding[] = "===";
    while (str_ends(text, STR("=")))
        text = str_head(text, text.n - 1);
    struct str padded = arena_cat(run->arena, text,
                                  str_mem(padding, (4 - text.n % 4) % 4));
    return base64_decode(run->arena, padded, out, err);
}

static int decode(struct command_run *run, struct str encoded)
{
    struct err err = { 0 };
    struct str bytes, otp = flags_str(run->flags, "otp");
    if (otp.n == 0)
        return command_fail(run, 1, "Missing otp: use -otp to supply it");
    if (decode_base64(run, encoded, &bytes, &err) < 0)
        return command_fail(run, 1, "Error decoding base64'd token: %s", err.msg);
    if (bytes.n != otp.n)
        return command_fail(run, 1, "Error xoring token: length of byte slices is not equivalent: "
                                    "%zu != %zu", bytes.n, otp.n);
    char *token = arena_bytes(run->arena, bytes.n + 1);
    if (token == NULL)
        return command_out_of_memory(run);
    for (size_t i = 0; i < bytes.n; i++)
        token[i] = (char)(bytes.p[i] ^ otp.p[i]);
    if (command_is_table(run))
        return output_raw(run, str_mem(token, bytes.n));
    struct json *o = json_object(run->arena);
    json_put_str(o, "token", str_mem(token, bytes.n));
    return output_value(run, o);
}

/* ---- init, cancel, entering a share ---- */

static int init(struct command_run *run)
{
    struct api_answer answer;
    struct json *keys, *body = json_object(run->arena);
    struct str otp = flags_str(run->flags, "otp");
    if (pgp_keys_read(run, "pgp-key", &keys) < 0)
        return 1;
    struct str key = keys != NULL && keys->first != NULL ? keys->first->text : STR("");
    if (otp.n > 0 && key.n > 0)
        return command_fail(run, 1, "Error initializing: cannot specify both -otp and -pgp-key");
    json_put_str(body, "otp", otp);
    json_put_str(body, "pgp_key", key);
    if (api_put(run, attempt_path(run), body, &answer) < 0)
        return command_fail(run, 2, "Error initializing root generation: " STR_FMT,
                            STR_ARG(answer.error));
    return print_status(run, answer.json);
}

static int cancel(struct command_run *run)
{
    struct api_answer answer;
    if (api_delete(run, attempt_path(run), &answer) < 0)
        return command_fail(run, 2, "Error canceling root token generation: " STR_FMT,
                            STR_ARG(answer.error));
    command_say(run, "Success! Root token generation canceled (if it was started)");
    return 0;
}

static int provide(struct command_run *run)
{
    struct api_answer answer;
    AUTO(buf_free) struct buf key = { 0 };
    int rc = ask_status(run, &answer);
    if (rc != 0)
        return rc;
    if (!json_get_bool(answer.json, "started", false))
        return command_fail(run, 1, "No root generation is in progress. Start a root generation by "
                            "running\n\"vault operator generate-root -init\". A one-time password "
                            "of your own must\nhave %lld characters.",
                            (long long)json_get_int(answer.json, "otp_length", 0));
    struct str now = json_get_str(answer.json, "nonce");
    struct str line = arena_printf(run->arena, "Operation nonce: " STR_FMT, STR_ARG(now));
    int asked = prompt_share(run, run->n_args == 1 ? run->args[0] : NULL, line.p, &key);
    if (asked < 0)
        return 1;
    struct str nonce = asked ? now : flags_str(run->flags, "nonce");
    if (nonce.n == 0)
        return command_fail(run, 1, "Missing nonce value: specify it via the -nonce flag");
    struct json *body = json_object(run->arena);
    json_put_str(body, "key", buf_str(&key));
    json_put_str(body, "nonce", nonce);
    if (api_put(run, update_path(run), body, &answer) < 0)
        return command_fail(run, 2, "Error posting unseal key: " STR_FMT, STR_ARG(answer.error));
    return print_status(run, answer.json);
}

static int generate_root_run(struct command_run *run)
{
    if (!command_args(run, 0, 1))
        return 1;
    if (flags_bool(run->flags, "dr-token") && flags_bool(run->flags, "recovery-token"))
        return command_fail(run, 1, "Both -recovery-token and -dr-token flags are set");
    if (flags_bool(run->flags, "generate-otp"))
        return generate_otp(run);
    if (flags_str(run->flags, "decode").n > 0)
        return decode(run, flags_str(run->flags, "decode"));
    if (flags_bool(run->flags, "cancel"))
        return cancel(run);
    if (flags_bool(run->flags, "init"))
        return init(run);
    if (flags_bool(run->flags, "status"))
        return status(run);
    return provide(run);
}

const struct command command_operator_generate_root = {
    .name = "operator generate-root",
    .usage = "operator generate-root [options] [KEY]",
    .summary = "Generates a new root token",
    .help = "  Makes a new root token, which takes enough of the shares of the root key. It "
            "comes out\n"
            "  encoded with a one-time password, or encrypted to an OpenPGP key, so that no "
            "holder of a\n"
            "  share sees it in passing. KEY \"-\" is standard input; without KEY it is asked "
            "for.\n\n"
            "      $ vault operator generate-root -generate-otp\n"
            "      $ vault operator generate-root -init -otp=\"...\"\n"
            "      $ vault operator generate-root\n"
            "      $ vault operator generate-root -decode=\"...\" -otp=\"...\"",
    .run = generate_root_run,
    .options = COMMAND_HTTP | COMMAND_FORMAT,
    COMMAND_FLAGS(generate_root_flags),
};
