/* Shares out of bodies. */
#include "api/share.h"

#include "codec/base64.h"

enum { SHARE_MIN = 16, SHARE_MAX = 33 };

int share_read(struct call *c, struct str *share, struct str *nonce, struct err *err)
{
    struct json *body;
    TRY(read_object(c, &body, err));
    struct str key = json_get_str(body, "key");
    *nonce = json_get_str(body, "nonce");
    if (key.n == 0)
        return err_set(err, ERR_BAD_REQUEST, "'key' must be specified in request body as JSON");
    if (hex_decode(c->arena, key, share, err) == 0 && share->n >= SHARE_MIN
        && share->n <= SHARE_MAX)
        return 0;
    if (base64_decode(c->arena, key, share, err) == 0)
        return 0;
    return err_set(err, ERR_BAD_REQUEST, "'key' must be a valid hex or base64 string");
}

void share_put_list(struct json *o, const char *key, const struct strs *list)
{
    if (list->n == 0) {
        json_put_null(o, key);
        return;
    }
    struct json *array = json_put_array(o, key);
    for (size_t i = 0; i < list->n; i++)
        json_add_str(array, list->v[i]);
}
