/* Fuzz target: any configuration is refused with its place or read, twice over, and finished. */
#include <stdlib.h>

#include "server/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void check(const struct config *c)
{
    for (size_t i = 0; i < c->n_listeners; i++) {
        must(c->listeners[i].address.n > 0);
        must(c->listeners[i].http_idle_timeout_ns > 0);
        must(c->listeners[i].max_request_duration_ns > 0);
    }
    must(c->default_lease_ttl_ns > 0 && c->default_lease_ttl_ns <= c->max_lease_ttl_ns);
    must(c->n_seals <= 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *c = NULL;
    struct err err = { 0 };
    struct str text = str_mem(data, size);
    if (config_new(&c, NULL) < 0)
        return 0;
    if (config_add_text(c, STR("f"), text, &err) < 0) {
        must(err.code == ERR_BAD_REQUEST && str_starts(err_text(&err), STR("f:")));
    } else {
        /* Only the number of blocks can be too much the second time. */
        (void)config_add_text(c, STR("g"), text, &err);
        if (config_finish(c, &err) == 0)
            check(c);
    }
    config_free(c);
    return 0;
}
