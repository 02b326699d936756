/* Operator_seal: the operator's short commands: unseal, seal, step-down, rotate, key-status. */
#include <stdio.h>
#include <unistd.h>

#include "cmd/api.h"
#include "cmd/commands.h"
#include "cmd/output.h"
#include "cmd/prompt.h"
#include "cmd/seal_status.h"

const struct command command_operator = {
    .name = "operator",
    .usage = "operator <subcommand> [options] [args]",
    .summary = "Perform operator-specific tasks",
    .help = "  What those do who run a server: initialise, unseal, seal, make new keys.\n\n"
            "  Initialise a new cluster, then unseal it:\n\n"
            "      $ vault operator init\n"
            "      $ vault operator unseal",
};

/* ---- unseal ---- */

static const struct flag unseal_flags[] = {
    { .name = "reset", .kind = FLAG_BOOL, .help = "Forget the shares that were entered so far." },
    { .name = "migrate", .kind = FLAG_BOOL,
      .help = "The share is meant for the change from one seal to another." },
};

/* The share: the argument, or asked for at the terminal. */
static int share_of(struct command_run *run, struct buf *key)
{
    struct err err = { 0 };
    struct str given = run->n_args == 1 ? str_trim(str_of(run->args[0])) : STR("");
    buf_add(key, given);
    if (given.n > 0)
        return buf_check(key, NULL);
    fflush(stdout);
    if (prompt_hidden(run, STDOUT_FILENO, "Unseal Key", key, &err) == 0)
        return 0;
    command_caution(run, "The unseal key could not be asked for. That needs a terminal, which is "
                         "also the safest way; where there is none, give the key as the first "
                         "argument. The reason was: %s", err.msg);
    return -1;
}

static int unseal_run(struct command_run *run)
{
    struct api_answer answer;
    AUTO(buf_free) struct buf key = { 0 };
    struct json *body = json_object(run->arena);
    bool reset = flags_bool(run->flags, "reset");
    if (!command_args(run, 0, 1))
        return 1;
    if (reset) {
        json_put_bool(body, "reset", true);
    } else {
        if (share_of(run, &key) < 0)
            return 1;
        json_put_str(body, "key", str_trim(buf_str(&key)));
        json_put_bool(body, "reset", false);
        json_put_bool(body, "migrate", flags_bool(run->flags, "migrate"));
    }
    if (api_put(run, "sys/unseal", body, &answer) < 0)
        return command_fail(run, 2, "Error %s: " STR_FMT,
                            reset ? "resetting unseal process" : "unsealing",
                            STR_ARG(answer.error));
    return seal_status_print(run, answer.json);
}

const struct command command_operator_unseal = {
    .name = "operator unseal",
    .usage = "operator unseal [options] [KEY]",
    .summary = "Unseals the Vault server",
    .help = "  Enters one share of the root key. When enough shares are there, the server can "
            "decrypt\n"
            "  its data and begins to answer. Without an argument the share is asked for and not\n"
            "  shown, and leaves no trace in the shell's history.\n\n"
            "      $ vault operator unseal\n"
            "      Unseal Key (will be hidden):",
    .run = unseal_run,
    .options = COMMAND_HTTP | COMMAND_FORMAT,
    COMMAND_FLAGS(unseal_flags),
};

/* ---- seal ---- */

static int seal_run(struct command_run *run)
{
    struct api_answer answer;
    if (!command_args(run, 0, 0))
        return 1;
    if (api_put(run, "sys/seal", NULL, &answer) < 0)
        return command_fail(run, 2, "Error sealing: " STR_FMT, STR_ARG(answer.error));
    command_say(run, "Success! Vault is sealed.");
    return 0;
}

const struct command command_operator_seal = {
    .name = "operator seal",
    .usage = "operator seal [options]",
    .summary = "Seals the Vault server",
    .help = "  Makes the server throw its keys away. It answers no request for data until it is\n"
            "  unsealed again. Needs a token with sudo on sys/seal.\n\n"
            "      $ vault operator seal",
    .run = seal_run,
    .options = COMMAND_HTTP,
};

/* ---- step-down ---- */

static int step_down_run(struct command_run *run)
{
    struct api_answer answer;
    if (!command_args(run, 0, 0))
        return 1;
    if (api_put(run, "sys/step-down", NULL, &answer) < 0)
        return command_fail(run, 2, "Error stepping down: " STR_FMT, STR_ARG(answer.error));
    command_say(run, "Success! Stepped down: %s", coffer_address(run->client));
    return 0;
}

const struct command command_operator_step_down = {
    .name = "operator step-down",
    .usage = "operator step-down [options]",
    .summary = "Forces Vault to resign active duty",
    .help = "  Makes the server that leads its cluster give up the lead, so that another one can "
            "take\n"
            "  over. A server that does not lead, or has no cluster, is left as it is.\n\n"
            "      $ vault operator step-down",
    .run = step_down_run,
    .options = COMMAND_HTTP,
};

/* ---- rotate, key-status ---- */

/* "2021-07-28T10:20:30Z" as "28 Jul 21 10:20 UTC". */
static struct str short_time(struct arena *a, struct str t)
{
    static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug",
                                          "Sep", "Oct", "Nov", "Dec" };
    int64_t month;
    if (t.n < 16 || !str_to_i64(str_mem(t.p + 5, 2), &month) || month < 1 || month > 12)
        return t;
    return arena_printf(a, "%.2s %s %.2s %.5s UTC", t.p + 8, months[month - 1], t.p + 2,
                        t.p + 11);
}

static int print_key_status(struct command_run *run, const struct json *answer)
{
    const struct json *data = json_member(answer, "data");
    if (!json_is(data, JSON_OBJECT))
        data = answer;
    if (!command_is_table(run)) {
        struct json *o = json_object(run->arena);
        struct json *term = json_member(data, "term"), *count = json_member(data, "encryptions");
        json_put(o, "encryptions", count != NULL ? json_copy(run->arena, count)
                                                 : json_int(run->arena, 0));
        json_put_str(o, "install_time", json_get_str(data, "install_time"));
        json_put(o, "term", term != NULL ? json_copy(run->arena, term) : json_int(run->arena, 0));
        return output_value(run, o);
    }
    struct table t = { .arena = run->arena };
    struct str when = short_time(run->arena, json_get_str(data, "install_time"));
    table_pair(&t, "Key Term", "%lld", (long long)json_get_int(data, "term", 0));
    table_pair(&t, "Install Time", STR_FMT, STR_ARG(when));
    table_pair(&t, "Encryption Count", "%lld", (long long)json_get_int(data, "encryptions", 0));
    output_table(run, &t, false);
    return 0;
}

static int key_status_run(struct command_run *run)
{
    struct api_answer answer;
    if (!command_args(run, 0, 0))
        return 1;
    if (api_get(run, "sys/key-status", &answer) < 0)
        return command_fail(run, 2, "Error reading key status: " STR_FMT, STR_ARG(answer.error));
    return print_key_status(run, answer.json);
}

const struct command command_operator_key_status = {
    .name = "operator key-status",
    .usage = "operator key-status [options]",
    .summary = "Provides information about the active encryption key",
    .help = "  Prints the number of the encryption key in use, since when it is used, and about "
            "how\n"
            "  often it has encrypted something.\n\n"
            "      $ vault operator key-status",
    .run = key_status_run,
    .options = COMMAND_HTTP | COMMAND_FORMAT,
};

static int rotate_run(struct command_run *run)
{
    struct api_answer answer;
    if (!command_args(run, 0, 0))
        return 1;
    if (api_post(run, "sys/rotate", NULL, &answer) < 0)
        return command_fail(run, 2, "Error rotating key: " STR_FMT, STR_ARG(answer.error));
    if (api_get(run, "sys/key-status", &answer) < 0)
        return command_fail(run, 2, "Error reading key status: " STR_FMT, STR_ARG(answer.error));
    if (command_is_table(run))
        command_say(run, "Success! Rotated key\n");
    return print_key_status(run, answer.json);
}

const struct command command_operator_rotate = {
    .name = "operator rotate",
    .usage = "operator rotate [options]",
    .summary = "Rotates the underlying encryption key",
    .help = "  Makes a new encryption key, which all later writes use. Older data stays "
            "readable: the\n"
            "  older keys are kept. Shares and the root key do not change. Needs sudo on "
            "sys/rotate.\n\n"
            "      $ vault operator rotate",
    .run = rotate_run,
    .options = COMMAND_HTTP | COMMAND_FORMAT,
};
