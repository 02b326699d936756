/* Seal stanzas to seals. */
#include "server/seals.h"

#include <stdlib.h>

#include "base/log.h"
#include "server/registry.h"

static const struct log lg = { "core" };

static const char *environment(void *ctx, const char *name)
{
    return getenv(name);
}

static bool is_shamir(const struct config_seal *s)
{
    return str_is(s->type, "shamir");
}

int seals_check(const struct config *c, struct err *err)
{
    size_t enabled = 0, disabled = 0;
    for (size_t i = 0; i < c->n_seals; i++) {
        const struct config_seal *s = &c->seals[i];
        (*(s->disabled ? &disabled : &enabled))++;
        if (!is_shamir(s) && registry_seal(s->type) == NULL)
            return err_set(err, ERR_BAD_REQUEST,
                           "seal \"" STR_FMT "\": this version has the seals \"shamir\", "
                           "\"static\" and \"transit\"", STR_ARG(s->type));
        if (is_shamir(s) && s->disabled)
            return err_set(err, ERR_BAD_REQUEST,
                           "Shamir seals cannot be set disabled (they should simply not be set)");
    }
    if (enabled > 1 || disabled > 1)
        return err_set(err, ERR_BAD_REQUEST,
                       "seals: at most one enabled and one disabled seal are expected");
    return 0;
}

/* As Vault: what it does not know does not end the start, but it is told. */
static void tell_unknown(const struct config_seal *s, const struct seal_kind *kind)
{
    for (size_t i = 0; i < s->n_options; i++) {
        const char *const *known = kind->options;
        while (*known != NULL && !str_is(s->options[i].name, *known))
            known++;
        if (*known == NULL)
            LOG(&lg, WARN, "unknown key in a seal stanza: seal=" STR_FMT " key=" STR_FMT,
                STR_ARG(s->type), STR_ARG(s->options[i].name));
    }
}

static int open_one(const struct config_seal *s, struct seal **out, struct err *err)
{
    struct seal_stanza stanza = { .options = s->options, .n = s->n_options, .env = environment };
    if (is_shamir(s))
        return 0;
    const struct seal_kind *kind = registry_seal(s->type);
    if (kind == NULL || kind->open(&stanza, out, err) < 0)
        return err_prefix(err, "Error parsing Seal configuration: seal \"" STR_FMT "\"",
                          STR_ARG(s->type));
    tell_unknown(s, kind);
    return 0;
}

int seals_open(const struct config *c, struct seals *out, struct err *err)
{
    TRY(seals_check(c, err));
    for (size_t i = 0; i < c->n_seals; i++)
        if (open_one(&c->seals[i], c->seals[i].disabled ? &out->old : &out->now, err) < 0) {
            seals_close(out);
            return -1;
        }
    return 0;
}

int seals_start(const struct seals *s, struct err *err)
{
    if (s->now != NULL)
        TRY(seal_start(s->now, err));
    return s->old == NULL ? 0 : seal_start(s->old, err);
}

/* Puts a word before each row's name. */
struct old_rows {
    struct arena *arena;
    seal_row_fn *row;
    void *ctx;
};

static void old_row(void *ctx, const char *name, struct str value)
{
    const struct old_rows *o = ctx;
    struct str longer = arena_printf(o->arena, "Old %s", name);
    if (longer.p != NULL)
        o->row(o->ctx, longer.p, value);
}

static void describe(struct seal *s, seal_row_fn *row, void *ctx)
{
    if (s == NULL)
        return;
    row(ctx, "Seal Type", str_of(s->ops->type));
    seal_describe(s, row, ctx);
}

void seals_describe(const struct seals *s, struct arena *a, seal_row_fn *row, void *ctx)
{
    struct old_rows old = { a, row, ctx };
    describe(s->now, row, ctx);
    describe(s->old, old_row, &old);
}

void seals_close(struct seals *s)
{
    seal_close(s->now);
    seal_close(s->old);
    *s = (struct seals){ 0 };
}
