/* Hcl_pos: where in a configuration text something stands, and how errors name it. */
#ifndef CODEC_HCL_POS_H
#define CODEC_HCL_POS_H

#include "base/err.h"

/* Lines and columns (bytes) count from 1. */
struct hcl_pos {
    const char *file; /* NULL when the text has no name */
    uint32_t line, column;
};

/* ERR_BAD_REQUEST with the place in front: "file:line:column: " or "At line:column: "; -1. */
int hcl_pos_error(struct err *err, struct hcl_pos pos, const char *format, ...) PRINTF_LIKE(3, 4);

#endif
