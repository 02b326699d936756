/* Fuzz target: a message is read to its end or refused; what was read is written back the same. */
#include <stdlib.h>

#include "codec/protobuf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DEPTH_MAX = 4 };

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* The scalar readers accept any bytes without harm. */
static void read_as_known_messages(struct str bytes)
{
    struct str key, value, packed = bytes;
    uint64_t number;
    int64_t ns;

    (void)!protobuf_pair(bytes, &key, &value, NULL);
    (void)!protobuf_duration(bytes, &ns, NULL);
    while (protobuf_next_varint(&packed, &number, NULL) > 0)
        ;
    if (protobuf_timestamp(bytes, &ns, NULL) == 0) {
        AUTO(buf_free) struct buf b = { 0 };
        struct protobuf_field f;
        int64_t again;
        protobuf_add_timestamp(&b, 1, ns);
        struct str rest = buf_str(&b);
        must(protobuf_next(&rest, &f, NULL) == 1 && rest.n == 0);
        must(protobuf_timestamp(f.bytes, &again, NULL) == 0 && again == ns);
    }
}

static void read_message(struct str message, int depth)
{
    struct protobuf_field f;
    struct err err = { 0 };
    int found;

    while ((found = protobuf_next(&message, &f, &err)) > 0) {
        AUTO(buf_free) struct buf b = { 0 };
        struct protobuf_field again;
        must(f.number > 0);
        if (f.wire == PROTOBUF_BYTES) {
            size_t mark = protobuf_open(&b, f.number);
            buf_add(&b, f.bytes);
            protobuf_close(&b, mark);
            read_as_known_messages(f.bytes);
            if (depth < DEPTH_MAX)
                read_message(f.bytes, depth + 1);
        } else {
            protobuf_put_uint(&b, f.number, f.value | 1);
        }
        struct str rest = buf_str(&b);
        must(protobuf_next(&rest, &again, NULL) == 1 && rest.n == 0);
        must(again.number == f.number);
        must(f.wire != PROTOBUF_BYTES || str_eq(again.bytes, f.bytes));
    }
    must(found == 0 || err.code == ERR_CORRUPT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_message(str_mem(data, size), 0);
    return 0;
}
