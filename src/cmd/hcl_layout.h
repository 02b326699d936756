/* Hcl_layout: the text of an HCL file laid out anew, comments kept. */
#ifndef CMD_HCL_LAYOUT_H
#define CMD_HCL_LAYOUT_H

#include "base/buf.h"
#include "base/err.h"

/*
 * Two spaces for each level, one blank around "=", equals signs of neighbouring lines aligned, at
 * most one empty line in a row. -1: ERR_BAD_REQUEST with the line where the text is not HCL.
 */
int hcl_layout(struct str text, struct buf *out, struct err *err) MUST_USE;

#endif
