/* Fuzz target: any text is refused with its place or gives a sound tree, however it is read. */
#include <stdlib.h>

#include "codec/hcl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* Every place is within the text, every count is right, every block is found. */
static void walk(struct arena *a, const struct hcl *v, size_t size)
{
    size_t n = 0;
    int64_t whole;
    double number;
    must(v->pos.line > 0 && v->pos.line <= size + 1 && v->pos.column > 0);
    for (const struct hcl *e = v->first; e != NULL; e = e->next, n++)
        walk(a, e, size);
    for (const struct hcl_item *i = v->items; i != NULL; i = i->next, n++) {
        must(i->n_keys > 0 && i->value != NULL);
        must(i->n_keys > 1 || hcl_get(v, i->keys[0].text) != NULL);
        walk(a, i->value, size);
    }
    must(n == v->count);
    (void)hcl_to_i64(v, &whole);
    (void)hcl_to_double(v, &number);
}

static void read_blocks(struct arena *a, const struct hcl *root)
{
    size_t seen = 0;
    for (const struct hcl_item *i = root->items; i != NULL && seen < 20; i = i->next, seen++)
        for (size_t labels = 0; labels <= HCL_LABELS_MAX; labels++) {
            const struct hcl_block *b = hcl_blocks(a, root, i->keys[0].text, labels);
            for (; b != NULL; b = b->next)
                must(b->n_labels <= labels && b->value != NULL);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct hcl *root = NULL;
    struct err err = { 0 };
    if (a == NULL)
        return 0;
    if (hcl_parse(a, STR("f"), str_mem(data, size), &root, &err) < 0) {
        must(err.code == ERR_BAD_REQUEST && str_starts(err_text(&err), STR("f:")));
        return 0;
    }
    must(root->type == HCL_OBJECT);
    walk(a, root, size);
    read_blocks(a, root);
    must(hcl_to_json(a, root) != NULL);
    return 0;
}
