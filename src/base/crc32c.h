/* Crc32c: the checksum of iSCSI (RFC 3720), by the processor's own instruction where there is one. */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include "base/attr.h"
#include "base/str.h"

/* Go on from ${crc} (0 to begin): crc32c(crc32c(0, a), b) is that of a and b in a row. */
uint32_t crc32c(uint32_t crc, struct str bytes);

/* The same without the instruction. */
uint32_t crc32c_portable(uint32_t crc, struct str bytes);

#endif
