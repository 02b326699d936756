/* Kv2/float: numbers as a 64-bit float prints, which is how version 2 gives them back. */
#ifndef ENGINES_KV2_FLOAT_H
#define ENGINES_KV2_FLOAT_H

#include "codec/json.h"

/*
 * Every number of the tree becomes the shortest text that reads as the same float, in the form of
 * Go's JSON encoder, in ${a}.  -1: ERR_INTERNAL for a number beyond the range of floats, as Vault.
 */
int kv2_float_numbers(struct arena *a, struct json *v, struct err *err) MUST_USE;

#endif
