/* From one seal to another: Vault's rules of what the configuration must say, and the commit. */
#include "core/migrate_seal.h"

#include "base/log.h"
#include "core/keychain.h"
#include "core/newkeys.h"

static const struct log lg = { "core" };

static struct str type_of(const struct seal *seal)
{
    return seal == NULL ? STR("shamir") : str_of(seal->ops->type);
}

/* There is no disabled stanza: the store must be sealed as configured, or by shares. */
static int without_old(struct str stored, const struct seal *now, enum migration *out,
                       struct err *err)
{
    *out = str_eq(stored, type_of(now)) ? MIGRATION_NONE : MIGRATION_PENDING;
    if (*out == MIGRATION_NONE || str_is(stored, "shamir"))
        return 0;
    if (now == NULL)
        return err_set(err, ERR_BAD_REQUEST,
                       "cannot seal migrate from \"" STR_FMT
                       "\" to Shamir, no disabled seal in configuration", STR_ARG(stored));
    return err_set(err, ERR_BAD_REQUEST,
                   "cannot seal migrate from \"" STR_FMT "\" to \"%s\", no disabled seal in "
                   "configuration", STR_ARG(stored), now->ops->type);
}

static int state_of(const struct core_settings *s, struct str stored, enum migration *out,
                    struct err *err)
{
    if (s->old_seal == NULL)
        return without_old(stored, s->seal, out, err);
    if (!str_eq(stored, type_of(s->seal))) {
        *out = MIGRATION_PENDING;
        if (str_is(stored, "shamir") || str_eq(stored, type_of(s->old_seal)))
            return 0;
        return err_set(err, ERR_BAD_REQUEST,
                       "cannot seal migrate from \"" STR_FMT "\": the disabled seal in the "
                       "configuration is \"%s\"", STR_ARG(stored), s->old_seal->ops->type);
    }
    bool same = str_eq(type_of(s->seal), type_of(s->old_seal));
    *out = same ? MIGRATION_UNSURE : MIGRATION_DONE;
    return 0;
}

int migrate_seal_state(const struct core_settings *settings, enum migration *out, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct seal_config config;
    *out = MIGRATION_NONE;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    int found = keychain_config(settings->physical, a, &config, err);
    return found <= 0 ? found : state_of(settings, config.type, out, err);
}

int migrate_seal_try(const struct core_settings *settings, enum migration *out, struct err *err)
{
    AUTO(secret_free) struct secret key = { 0 };
    struct err new_err = { 0 }, old_err = { 0 };
    *out = MIGRATION_DONE;
    if (keychain_open_root_key(settings->physical, settings->seal, &key, &new_err) == 0)
        return 0;
    *out = MIGRATION_PENDING;
    if (keychain_open_root_key(settings->physical, settings->old_seal, &key, &old_err) == 0)
        return 0;
    return err_set(err, ERR_INTERNAL,
                   "neither the old nor new seal can read stored keys: old seal err=%.200s, "
                   "new seal err=%.200s", old_err.msg, new_err.msg);
}

int migrate_seal_source(const struct core_settings *settings, struct seal **out, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct seal_config config;
    *out = NULL;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    int found = keychain_config(settings->physical, a, &config, err);
    if (found > 0 && !str_is(config.type, "shamir"))
        *out = settings->old_seal;
    return found < 0 ? -1 : 0;
}

int migrate_seal(const struct core_settings *settings, struct barrier *b, struct str key,
                 struct err *err)
{
    struct seal *from, *to = settings->seal;
    TRY(migrate_seal_source(settings, &from, err));
    LOG(&lg, INFO, "seal migration initiated: from=" STR_FMT " to=" STR_FMT,
        STR_ARG(type_of(from)), STR_ARG(type_of(to)));
    int result = from == NULL ? newkeys_from_shares(b, settings->physical, key, to, err)
                 : to == NULL ? newkeys_to_shares(b, settings->physical, key, err)
                              : newkeys_to_seal(b, settings->physical, key, to, err);
    if (result < 0)
        return err_prefix(err, "seal migration error");
    LOG(&lg, INFO, "seal migration complete");
    return 0;
}
