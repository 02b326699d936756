/* Kv_mount: which key-value store a path lies in, and of which version it is. */
#include "cmd/kv_mount.h"

int kv_mount_find(struct command_run *run, struct str path, struct kv_mount *out)
{
    struct api_answer answer;
    struct str question = arena_cat(run->arena, STR("sys/internal/ui/mounts/"), path);
    *out = (struct kv_mount){ 0 };
    if (api_send(run,
                 &(struct api_call){ .method = "GET", .path = arena_cstr(run->arena, question),
                                     .unwrapped = true },
                 &answer) < 0) {
        if (answer.status == 404) /* a server too old to be asked */
            return 0;
        return command_fail(run, 2, STR_FMT, STR_ARG(answer.error));
    }
    const struct json *data = json_member(answer.json, "data");
    if (answer.json == NULL)
        return command_fail(run, 2, "nil response from pre-flight request");
    out->mount = json_get_str(data, "path");
    out->v2 = str_is(json_get_str(json_member(data, "options"), "version"), "2");
    return 0;
}

struct str kv_mount_path(struct arena *a, const struct kv_mount *m, struct str path,
                         const char *part)
{
    struct str mount = str_ends(m->mount, STR("/")) ? str_head(m->mount, m->mount.n - 1)
                                                    : m->mount;
    struct str rest = str_starts(path, m->mount) ? str_from(path, m->mount.n) : path;
    if (str_eq(path, mount) || rest.n == 0)
        return arena_printf(a, STR_FMT "/%s", STR_ARG(mount), part);
    return arena_printf(a, STR_FMT "/%s/" STR_FMT, STR_ARG(mount), part, STR_ARG(rest));
}
