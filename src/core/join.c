/* The joining node's side of sys/storage/raft/bootstrap. */
#include "core/join.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "core/bootstrap.h"
#include "core/cluster_keys.h"
#include "net/httpc.h"
#include "storage/raft/raftstore.h"

static const struct log lg = { "core" };

enum {
    CALL_MS = 10000,
    STORE_MS = 10 * 60 * 1000, /* the whole store may have to come */
    END_MS = 500,              /* how long the end of the server may have to wait for that */
    PAUSE_MS = 250,            /* after the first failure of a retry, doubled up to */
    PAUSE_MAX_MS = 4000,
};

/* What was found. */
struct found {
    struct arena *arena;
    struct join_target target;
    struct seal_config config;
    bool non_voter;
};

struct join {
    const struct core_settings *settings;
    pthread_mutex_t mu;
    pthread_cond_t ended;
    struct found *found; /* under mu, as is all below; NULL: none */
    bool ending;
    bool retrying; /* the thread asks */
    bool threaded; /* it was made, and is to be joined */
    pthread_t thread;
    /* Of the retry. */
    struct arena *arena;
    struct join_target *targets;
    size_t n;
    bool non_voter;
    int (*on_found)(void *ctx);
    void *on_found_ctx;
};

int join_new(const struct core_settings *settings, struct join **out, struct err *err)
{
    pthread_condattr_t monotonic;
    struct join *j = calloc(1, sizeof *j);
    if (j == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    j->settings = settings;
    pthread_mutex_init(&j->mu, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&j->ended, &monotonic);
    pthread_condattr_destroy(&monotonic);
    *out = j;
    return 0;
}

static void found_free(struct found *f)
{
    if (f != NULL)
        arena_free(f->arena);
    free(f);
}

void join_free(struct join *j)
{
    if (j == NULL)
        return;
    pthread_mutex_lock(&j->mu);
    j->ending = true;
    bool threaded = j->threaded;
    pthread_cond_signal(&j->ended);
    pthread_mutex_unlock(&j->mu);
    if (threaded)
        pthread_join(j->thread, NULL);
    found_free(j->found);
    arena_free(j->arena);
    pthread_cond_destroy(&j->ended);
    pthread_mutex_destroy(&j->mu);
    free(j);
}

static struct join_target target_copy(struct arena *a, const struct join_target *t)
{
    return (struct join_target){
        .api_addr = arena_dup(a, t->api_addr),
        .ca_cert = arena_dup(a, t->ca_cert),
        .client_cert = arena_dup(a, t->client_cert),
        .client_key = arena_dup(a, t->client_key),
        .ca_cert_file = arena_dup(a, t->ca_cert_file),
        .client_cert_file = arena_dup(a, t->client_cert_file),
        .client_key_file = arena_dup(a, t->client_key_file),
        .server_name = arena_dup(a, t->server_name),
    };
}

/* ---- calls to a member ---- */

/* A PEM text as a file that only this process has: its path, for the client's library. */
struct pem {
    int fd;
    char path[32];
};

static void pem_close(struct pem *p)
{
    if (p->fd > 0)
        close(p->fd);
}

/* The path for ${text} or the named ${file}; NULL when both are empty. */
static int pem_path(struct arena *a, struct pem *p, struct str text, struct str file,
                    const char **out, struct err *err)
{
    *out = NULL;
    if (text.n == 0) {
        if (file.n > 0)
            *out = arena_printf(a, STR_FMT, STR_ARG(file)).p;
        return 0;
    }
    p->fd = memfd_create("pem", MFD_CLOEXEC);
    if (p->fd < 0 || write(p->fd, text.p, text.n) != (ssize_t)text.n)
        return err_set(err, ERR_IO, "certificate: %s", strerror(errno));
    snprintf(p->path, sizeof p->path, "/proc/self/fd/%d", p->fd);
    *out = p->path;
    return 0;
}

/* The first text of {"errors":[...]}. */
static struct str error_text(struct arena *a, const struct httpc_answer *answer)
{
    struct json *o;
    struct err ignored = { 0 };
    if (json_parse(a, arena_dup(a, buf_str((struct buf *)&answer->body)), &o, NULL, &ignored) < 0)
        return STR("");
    struct json *first = json_first(json_member(o, "errors"));
    return json_is(first, JSON_STRING) ? str_trim(first->text) : STR("");
}

/* POST ${body} to the target's ${path}; ${data} gets the answer's "data". */
static int call(struct arena *a, const struct join_target *t, const char *path,
                const struct json *body, struct json **data, struct err *err)
{
    AUTO(pem_close) struct pem ca = { 0 };
    AUTO(pem_close) struct pem cert = { 0 };
    AUTO(pem_close) struct pem key = { 0 };
    AUTO(buf_free) struct buf text = { 0 };
    AUTO(httpc_answer_free) struct httpc_answer answer = { 0 };
    struct httpc_config config = { .timeout_ms = CALL_MS };
    struct httpc *client;
    struct json *o;
    TRY(pem_path(a, &ca, t->ca_cert, t->ca_cert_file, &config.ca_file, err));
    TRY(pem_path(a, &cert, t->client_cert, t->client_cert_file, &config.cert_file, err));
    TRY(pem_path(a, &key, t->client_key, t->client_key_file, &config.key_file, err));
    if (t->server_name.n > 0)
        config.server_name = arena_printf(a, STR_FMT, STR_ARG(t->server_name)).p;
    json_print(body, &text);
    struct str base = t->api_addr;
    if (str_ends(base, STR("/")))
        base.n--;
    struct httpc_header headers[] = { { STR("X-Vault-Request"), STR("true") } };
    struct httpc_call c = {
        .method = "PUT",
        .url = arena_printf(a, STR_FMT "/v1/%s", STR_ARG(base), path),
        .headers = headers,
        .n_headers = ARRAY_LEN(headers),
        .body = buf_str(&text),
    };
    TRY(arena_check(a, err));
    TRY(buf_check(&text, err));
    TRY(httpc_new(&config, &client, err));
    int result = httpc_run(client, &c, &answer, err);
    httpc_free(client);
    if (result < 0)
        return -1;
    if (answer.status != 200) {
        struct str why = error_text(a, &answer);
        return err_set(err, ERR_UPSTREAM, "status %d: " STR_FMT, answer.status, STR_ARG(why));
    }
    TRY(json_parse(a, arena_dup(a, buf_str(&answer.body)), &o, NULL, err));
    *data = json_member(o, "data");
    return *data == NULL ? err_set(err, ERR_UPSTREAM, "the answer has no data: is that a Coffer "
                                                      "with integrated storage?")
                         : 0;
}

static int ask_challenge(struct join *j, struct arena *a, const struct join_target *t,
                         struct str *challenge, struct seal_config *config, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    struct json *data, *body = json_object(a);
    json_put_str(body, "server_id", j->settings->node_id);
    TRY(arena_check(a, err));
    TRY(call(a, t, "sys/storage/raft/bootstrap/challenge", body, &data, err));
    TRY(base64_decode(a, json_get_str(data, "challenge"), challenge, err));
    const struct json *seal = json_member(data, "seal_config");
    if (seal == NULL)
        return err_set(err, ERR_UPSTREAM, "the answer says nothing about the seal");
    json_print(seal, &text);
    TRY(buf_check(&text, err));
    return seal_config_parse(a, arena_dup(a, buf_str(&text)), config, err);
}

/* ---- asking ---- */

static int ask_one(struct join *j, const struct join_target *t, bool non_voter, struct err *err)
{
    struct found *f = calloc(1, sizeof *f);
    struct str challenge;
    if (f == NULL || (f->arena = arena_new()) == NULL) {
        free(f);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    f->target = target_copy(f->arena, t);
    f->non_voter = non_voter;
    if (ask_challenge(j, f->arena, &f->target, &challenge, &f->config, err) < 0) {
        found_free(f);
        return -1;
    }
    pthread_mutex_lock(&j->mu);
    struct found *old = j->found;
    j->found = f;
    pthread_mutex_unlock(&j->mu);
    found_free(old);
    return 1;
}

int join_ask(struct join *j, const struct join_target *targets, size_t n, bool non_voter,
             struct err *err)
{
    if (j->settings->raft == NULL)
        return err_set(err, ERR_BAD_REQUEST, "raft storage is not in use");
    if (raftstore_has_cluster(j->settings->raft))
        return 0;
    for (size_t i = 0; i < n; i++) {
        struct err why = { 0 };
        if (targets[i].api_addr.n == 0)
            continue;
        LOG(&lg, INFO, "attempting to join possible raft leader node: leader_addr=" STR_FMT,
            STR_ARG(targets[i].api_addr));
        if (ask_one(j, &targets[i], non_voter, &why) > 0)
            return 1;
        LOG(&lg, WARN, "join attempt failed: leader_addr=" STR_FMT " error=%s",
            STR_ARG(targets[i].api_addr), why.msg);
    }
    return err_set(err, ERR_UPSTREAM,
                   "failed to join raft cluster: failed to join any raft leader node");
}

/* False: the end has come. */
static bool rest(struct join *j, int ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&j->mu);
    while (!j->ending && pthread_cond_timedwait(&j->ended, &j->mu, &until) == 0)
        ;
    bool on = !j->ending;
    pthread_mutex_unlock(&j->mu);
    return on;
}

static void *keep_asking(void *ctx)
{
    struct join *j = ctx;
    for (int pause = PAUSE_MS;; pause = pause * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause * 2) {
        struct err err = { 0 };
        int found = join_ask(j, j->targets, j->n, j->non_voter, &err);
        if (found == 0 || (found > 0 && j->on_found(j->on_found_ctx) == 0))
            break;
        LOG(&lg, WARN, "failed to retry join raft cluster: retry_ms=%d", pause);
        if (!rest(j, pause))
            break;
    }
    pthread_mutex_lock(&j->mu);
    j->retrying = false;
    pthread_mutex_unlock(&j->mu);
    return NULL;
}

/* Remember whom to ask.  An earlier thread has ended, or there was none. */
static int keep_targets(struct join *j, const struct join_target *targets, size_t n,
                        struct err *err)
{
    arena_free(j->arena);
    j->arena = arena_new();
    j->targets = j->arena == NULL ? NULL : arena_array(j->arena, n + 1, sizeof *j->targets);
    if (j->targets == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < n; i++)
        j->targets[i] = target_copy(j->arena, &targets[i]);
    j->n = n;
    return arena_check(j->arena, err);
}

static int start_asking(struct join *j, const struct join_target *targets, size_t n,
                        struct err *err)
{
    if (j->threaded)
        pthread_join(j->thread, NULL);
    j->threaded = false;
    TRY(keep_targets(j, targets, n, err));
    if (pthread_create(&j->thread, NULL, keep_asking, j) != 0)
        return err_set(err, ERR_NOMEM, "no thread to join the cluster");
    j->threaded = true;
    return 0;
}

int join_ask_until(struct join *j, const struct join_target *targets, size_t n, bool non_voter,
                   int (*found)(void *ctx), void *ctx, struct err *err)
{
    if (j->settings->raft == NULL)
        return err_set(err, ERR_BAD_REQUEST, "raft storage is not in use");
    if (raftstore_has_cluster(j->settings->raft))
        return 0;
    pthread_mutex_lock(&j->mu);
    bool busy = j->retrying;
    j->retrying = true;
    pthread_mutex_unlock(&j->mu);
    if (busy)
        return err_set(err, ERR_BAD_REQUEST, "a join is being retried already");
    j->non_voter = non_voter;
    j->on_found = found;
    j->on_found_ctx = ctx;
    if (start_asking(j, targets, n, err) == 0)
        return 0;
    pthread_mutex_lock(&j->mu);
    j->retrying = false;
    pthread_mutex_unlock(&j->mu);
    return -1;
}

int join_pending(struct join *j, struct arena *a, struct seal_config *out, struct err *err)
{
    int found = 0;
    if (j->settings->raft == NULL || raftstore_has_cluster(j->settings->raft))
        return 0;
    pthread_mutex_lock(&j->mu);
    if (j->found != NULL) {
        found = 1;
        *out = j->found->config;
        out->type = arena_dup(a, out->type);
        out->nonce = arena_dup(a, out->nonce);
        out->pgp_keys = (struct strs){ 0 };
    }
    pthread_mutex_unlock(&j->mu);
    return found == 0 ? 0 : arena_check(a, err) < 0 ? -1 : 1;
}

/* ---- finishing ---- */

/* What a joining node sees of the contest: nothing. */
static void ignore(void *ctx)
{
}

static void ignore_keys(void *ctx, const struct str *keys, size_t n)
{
}

static bool is_ending(struct join *j)
{
    pthread_mutex_lock(&j->mu);
    bool ending = j->ending;
    pthread_mutex_unlock(&j->mu);
    return ending;
}

static int wait_store(struct join *j, struct err *err)
{
    struct raftstore *raft = j->settings->raft;
    struct ha *ha = raftstore_ha(raft);
    struct ha_events events = { NULL, ignore, ignore_keys, ignore };
    TRY(raftstore_expect_join(raft, err));
    TRY(ha->ops->start(ha, &events, err));
    int result = -1;
    for (int waited = 0; result < 0 && waited < STORE_MS && !is_ending(j); waited += END_MS) {
        *err = (struct err){ 0 };
        result = raftstore_wait_store(raft, END_MS, err);
        if (result < 0 && err->code != ERR_TIMEOUT)
            break;
    }
    ha->ops->stop(ha);
    return result;
}

/* Tell a member who we are; ${keyring} gets the text of the cluster's certificates. */
static int answer_challenge(struct join *j, struct arena *a, const struct found *f,
                            join_open_fn *open, void *ctx, struct buf *keyring, struct err *err)
{
    AUTO(buf_free) struct buf plain = { 0 };
    struct str challenge, sealed;
    struct seal_config config;
    struct json *data, *body = json_object(a);
    /* Asked for anew: the one that was found may be long ago. */
    TRY(ask_challenge(j, a, &f->target, &challenge, &config, err));
    if (open(ctx, challenge, &plain, err) < 0)
        return err_set(err, err->code, "the key does not open the challenge of the cluster at "
                                       STR_FMT ": these are another cluster's unseal keys, or the "
                                       "seal is another one",
                       STR_ARG(f->target.api_addr));
    /* Whoever asks may send what else is under the key, to have it opened. */
    if (plain.n != BOOTSTRAP_ANSWER)
        return err_set(err, ERR_UPSTREAM, "what " STR_FMT " wants to be decrypted is no challenge",
                       STR_ARG(f->target.api_addr));
    json_put_str(body, "answer", base64_encode(a, buf_str(&plain)));
    json_put_str(body, "cluster_addr", j->settings->cluster_addr);
    json_put_str(body, "server_id", j->settings->node_id);
    json_put_bool(body, "non_voter", f->non_voter);
    TRY(arena_check(a, err));
    TRY(call(a, &f->target, "sys/storage/raft/bootstrap/answer", body, &data, err));
    TRY(base64_decode(a, json_get_str(data, "tls_keyring"), &sealed, err));
    return open(ctx, sealed, keyring, err);
}

int join_finish(struct join *j, join_open_fn *open, void *ctx, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf keyring = { 0 };
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    pthread_mutex_lock(&j->mu);
    struct found *f = j->found;
    j->found = NULL;
    pthread_mutex_unlock(&j->mu);
    if (f == NULL)
        return err_set(err, ERR_UNINITIALISED, "no cluster to join is known");
    int result = answer_challenge(j, a, f, open, ctx, &keyring, err);
    if (result == 0)
        result = cluster_keys_use(buf_str(&keyring), j->settings->node_id,
                                  clock_now_s(j->settings->clock), j->settings->creds, err);
    if (result == 0)
        result = wait_store(j, err);
    if (result < 0) { /* to be tried again */
        pthread_mutex_lock(&j->mu);
        struct found *newer = j->found;
        if (newer == NULL)
            j->found = f;
        pthread_mutex_unlock(&j->mu);
        if (newer != NULL)
            found_free(f);
        return -1;
    }
    found_free(f);
    LOG(&lg, INFO, "successfully joined the raft cluster");
    return 0;
}
