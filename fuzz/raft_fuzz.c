/* Fuzz target: what raft members send each other, entries and marks: read within their bounds. */
#include <stdlib.h>

#include "storage/raft/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* What could be read is written as it was. */
static void check_frame(struct str body)
{
    AUTO(buf_free) struct buf again = { 0 };
    struct frame f;
    struct err err;
    if (frame_read(body, &f, &err) < 0)
        return;
    unsigned n = f.m.entries != NULL ? f.m.m.append_entries.n_entries : 0;
    must(frame_write(&f, f.m.entries, n, &again, &err) == 0);
    must(again.n == body.n + FRAME_HEAD);
    frame_clear(&f);
}

static void check_payload(struct str payload)
{
    AUTO(entry_free) struct entry_batches b = { 0 };
    struct err err;
    size_t bytes = 0;
    if (entry_read(payload, &b, &err) < 0)
        return;
    entry_link(&b);
    for (size_t i = 0; i < b.n_ops; i++)
        bytes += b.ops[i].key.n + b.ops[i].value.n;
    must(bytes == b.bytes && bytes <= payload.n);
}

static void check_mark(struct str text)
{
    struct mark m;
    struct err err;
    if (mark_decode(text, &m, &err) == 0)
        mark_clear(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct str rest = str_mem(data + 1, size - 1);
    switch (data[0] % 3) {
    case 0:
        check_frame(rest);
        break;
    case 1:
        check_payload(rest);
        break;
    default:
        check_mark(rest);
        break;
    }
    return 0;
}
