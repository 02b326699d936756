/* Members: the members of a JSON object in byte order of their names, beside the tree. */
#ifndef CODEC_MEMBERS_H
#define CODEC_MEMBERS_H

#include "codec/json.h"

/* One member, with the first eight bytes of its name as a number that sorts as they do. */
struct member {
    uint64_t prefix;
    struct json *json;
};

/* Up to this many members are sorted without scratch space. */
enum { MEMBERS_SMALL = 16 };

/* Fill ${out}, which has room for object->count. */
void members_list(const struct json *object, struct member *out);

/* Sort by name; equal names keep their order. ${scratch} has room for n, unused up to SMALL. */
void members_sort(struct member *v, struct member *scratch, size_t n);

/* Order of two members' names: <0, 0, >0. */
int members_cmp(const struct member *a, const struct member *b);

#endif
