/* sys/storage/raft/join, and snapshots: what is larger than an answer, or works while sealed. */
#include "api/call.h"
#include "base/log.h"
#include "core/join.h"
#include "core/service.h"
#include "core/snapshot.h"

static const struct log lg = { "storage.raft" };

/* ---- join ---- */

void raft_join_put(struct call *c)
{
    struct err err = { 0 };
    struct json *body;
    if (read_object(c, &body, &err) < 0) {
        answer_failure(c, &err);
        return;
    }
    struct join_target target = {
        .api_addr = json_get_str(body, "leader_api_addr"),
        .ca_cert = json_get_str(body, "leader_ca_cert"),
        .client_cert = json_get_str(body, "leader_client_cert"),
        .client_key = json_get_str(body, "leader_client_key"),
    };
    if (json_get_str(body, "auto_join").n > 0)
        err_set(&err, ERR_BAD_REQUEST,
                "auto_join is not supported: name the members in leader_api_addr or retry_join");
    else if (lifecycle_join(c->api->settings.lifecycle, &target, 1,
                            json_get_bool(body, "non_voter", false),
                            json_get_bool(body, "retry", false), &err) == 0) {
        struct json *o = json_object(c->arena);
        json_put_bool(o, "joined", true);
        answer_json(c, 200, o);
        return;
    }
    answer_error(c, err.code == ERR_BAD_REQUEST ? 400 : 500, err_text(&err));
}

/* ---- snapshots ---- */

/* Only for who may, on an unsealed node with raft storage; else answered. */
static struct raftstore *admitted(struct call *c)
{
    bool sealed;
    struct raftstore *raft = c->api->settings.core->raft;
    if (!read_authorized(c, &sealed))
        return NULL;
    if (sealed) {
        answer_error(c, 503, STR("Vault is sealed"));
        return NULL;
    }
    if (raft == NULL)
        answer_error(c, 400, STR("raft storage is not in use"));
    return raft;
}

static int seal_sums(void *ctx, struct str text, struct buf *out, struct err *err)
{
    return lifecycle_seal_encrypt(ctx, text, out, err);
}

/* An archive on its way to a client; the answer begins with its first bytes. */
struct sending {
    struct call *call;
    bool begun;
};

static int send_part(void *ctx, struct str bytes, struct err *err)
{
    struct sending *s = ctx;
    if (!s->begun) {
        struct http_header headers[ANSWER_HEADERS + 2];
        size_t n = answer_headers(s->call, headers);
        headers[n++] = (struct http_header){ STR("Content-Type"), STR("application/gzip") };
        headers[n++] = (struct http_header){ STR("Content-Disposition"), STR("attachment") };
        struct http_reply head = { .status = 200, .headers = headers, .n_headers = n };
        http_stream_begin(s->call->x, &head);
        s->begun = true;
    }
    return http_stream_write(s->call->x, bytes) < 0
               ? err_set(err, ERR_IO, "the client has gone")
               : 0;
}

void snapshot_get(struct call *c)
{
    struct err err = { 0 };
    struct sending s = { .call = c };
    struct raftstore *raft = admitted(c);
    if (raft == NULL)
        return;
    struct snapshot_parts parts = {
        .raft = raft,
        .spool_dir = c->api->settings.core->spool_dir,
        .seal = seal_sums,
        .seal_ctx = c->api->settings.lifecycle,
        .sink = send_part,
        .sink_ctx = &s,
    };
    if (snapshot_write(&parts, &err) < 0)
        LOG(&lg, ERROR, "failed to send a snapshot: error=%s", err.msg);
    /* What is cut short has no SHA256SUMS: nobody takes it for whole. */
    if (s.begun)
        http_stream_end(c->x);
    else
        answer_failure(c, &err);
}

static int open_sums(void *ctx, struct str sealed, struct buf *out, struct err *err)
{
    return lifecycle_seal_decrypt(ctx, sealed, out, err);
}

static int put_entry(void *ctx, struct str key, struct str value, struct err *err)
{
    return raftstore_restore_put(ctx, key, value, err);
}

static int restore(struct raftstore *raft, int fd, struct err *err)
{
    struct raftstore_restore *x;
    TRY(raftstore_restore_begin(raft, &x, err));
    if (archive_entries(fd, put_entry, x, err) < 0) {
        raftstore_restore_abort(x);
        return -1;
    }
    return raftstore_restore_commit(x, err);
}

static void take_archive(struct call *c, bool force)
{
    struct err err = { 0 }, later = { 0 };
    struct archive_meta meta;
    struct lifecycle *l = c->api->settings.lifecycle;
    struct raftstore *raft = admitted(c);
    int fd = c->x->req.body_fd;
    if (raft == NULL)
        return;
    if (fd < 0) {
        answer_error(c, 400, STR("the request has no body"));
        return;
    }
    if (archive_check(fd, c->arena, force ? NULL : open_sums, l, &meta, &err) < 0) {
        if (err.code == ERR_DENIED)
            answer_error(c, 400, STR("could not verify hash file, possibly the snapshot is using "
                                     "a different set of unseal keys; use the snapshot-force API "
                                     "to bypass this check"));
        else
            answer_error(c, 500, arena_printf(c->arena, "1 error occurred:\n\t* %s\n\n", err.msg));
        return;
    }
    LOG(&lg, INFO, "restoring a snapshot: index=%llu term=%llu force=%s",
        (unsigned long long)meta.index, (unsigned long long)meta.term, force ? "true" : "false");
    if (restore(raft, fd, &err) < 0) {
        answer_failure(c, &err);
        return;
    }
    /* Under other keys the node is sealed now: the restore has succeeded all the same. */
    if (service_settle_restore(lifecycle_service(l), &later) < 0)
        LOG(&lg, WARN, "the restored store needs its own unseal keys");
    answer_empty(c, 204);
}

void snapshot_put(struct call *c)
{
    take_archive(c, false);
}

void snapshot_force_put(struct call *c)
{
    take_archive(c, true);
}
