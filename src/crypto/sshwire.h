/* Sshwire: the data types that SSH messages, keys and certificates are made of (RFC 4251 §5). */
#ifndef CRYPTO_SSHWIRE_H
#define CRYPTO_SSHWIRE_H

#include "base/buf.h"

/* Append; a lack of memory is remembered by the buffer. */
void sshwire_u32(struct buf *out, uint32_t v);
void sshwire_u64(struct buf *out, uint64_t v);
void sshwire_str(struct buf *out, struct str s);
/* A whole number of big-endian bytes; leading zeros are dropped, the sign byte is added. */
void sshwire_mpint(struct buf *out, struct str magnitude);

/* Read and step past; false when the bytes do not reach, and then nothing has moved. */
bool sshwire_get_u32(struct str *rest, uint32_t *out) MUST_USE;
bool sshwire_get_str(struct str *rest, struct str *out) MUST_USE;
/* False also for a negative number. Leading zeros are left off; zero has no bytes. */
bool sshwire_get_mpint(struct str *rest, struct str *magnitude) MUST_USE;

#endif
