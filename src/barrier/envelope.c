/* The barrier's envelope, byte for byte. */
#include "barrier/envelope.h"

#include "base/random.h"

enum { VERSION_PLAIN = 1, VERSION_PATH = 2 };

int envelope_seal(struct aead *key, uint32_t term, struct str path, struct str text,
                  struct buf *out, struct err *err)
{
    size_t before = out->n;
    uint8_t head[ENVELOPE_HEAD] = { (uint8_t)(term >> 24), (uint8_t)(term >> 16),
                                    (uint8_t)(term >> 8), (uint8_t)term, VERSION_PATH };
    uint8_t *nonce = head + ENVELOPE_TERM + 1;

    random_fill(nonce, AEAD_NONCE);
    buf_add(out, str_mem(head, sizeof head));
    TRY(buf_check(out, err));
    if (aead_seal(key, nonce, path, text, out, err) < 0) {
        out->n = before;
        return -1;
    }
    return 0;
}

int envelope_term(struct str sealed, uint32_t *term, struct err *err)
{
    const uint8_t *p = (const uint8_t *)sealed.p;

    if (sealed.n < ENVELOPE_EXTRA)
        return err_set(err, ERR_CORRUPT, "invalid value: %zu bytes are no barrier entry", sealed.n);
    if (p[ENVELOPE_TERM] != VERSION_PLAIN && p[ENVELOPE_TERM] != VERSION_PATH)
        return err_set(err, ERR_CORRUPT, "version bytes mis-match");
    *term = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
    return 0;
}

int envelope_open(struct aead *key, struct str path, struct str sealed, struct buf *out,
                  struct err *err)
{
    const uint8_t *head = (const uint8_t *)sealed.p;
    struct str aad = head[ENVELOPE_TERM] == VERSION_PATH ? path : (struct str){ 0 };

    return aead_open(key, head + ENVELOPE_TERM + 1, aad, str_from(sealed, ENVELOPE_HEAD), out,
                     err);
}
