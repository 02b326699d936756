/* Public keys out of requests. */
#include "engines/ssh/pubkey.h"

#include "codec/base64.h"

int pubkey_parse(struct request *req, struct str text, struct sshkey *out)
{
    struct str rest = text, part = text, blob;

    if (str_find_byte(text, ' ') >= 0) {
        (void)str_next(&rest, ' ', &part); /* the type, which the base64 part repeats */
        (void)str_next(&rest, ' ', &part);
    }
    TRY(base64_decode(req->arena, part, &blob, &req->err));
    return sshkey_parse(req->arena, blob, out, &req->err);
}
