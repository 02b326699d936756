/* Help texts: sections as Vault's path-help has them. */
#include "logical/help.h"

#include <stdlib.h>

static const char *type_name(enum field_type t)
{
    switch (t) {
    case FIELD_STRING:
        return "string";
    case FIELD_LOWER:
        return "lowercase string";
    case FIELD_INT:
        return "int";
    case FIELD_BOOL:
        return "bool";
    case FIELD_SECONDS:
    case FIELD_SIGNED_SECONDS:
        return "duration (sec)";
    case FIELD_MAP:
        return "map";
    case FIELD_KV_PAIRS:
        return "keypair";
    case FIELD_STRINGS:
    case FIELD_COMMA_STRINGS:
    case FIELD_COMMA_INTS:
        return "slice";
    case FIELD_ANY:
        return "any";
    }
    return "any";
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct field *const *)a)->name, (*(const struct field *const *)b)->name);
}

static int add_fields(struct arena *a, const struct route *r, struct buf *b)
{
    const struct field **sorted = arena_array(a, r->n_fields + 1, sizeof *sorted);
    if (sorted == NULL || r->n_fields == 0)
        return sorted == NULL ? -1 : 0;
    for (size_t i = 0; i < r->n_fields; i++)
        sorted[i] = &r->fields[i];
    qsort(sorted, r->n_fields, sizeof *sorted, by_name);
    buf_add(b, STR("## PARAMETERS\n"));
    for (size_t i = 0; i < r->n_fields; i++)
        buf_printf(b, "\n    %s (%s)\n\n        %s\n", sorted[i]->name, type_name(sorted[i]->type),
                   sorted[i]->help != NULL ? sorted[i]->help : "");
    buf_byte(b, '\n');
    return 0;
}

static int route_help(struct request *req, const struct route *r, struct buf *b)
{
    const char *summary = r->summary != NULL ? r->summary : "";
    buf_printf(b, "Request:        " STR_FMT "\nMatching Route: %s\n\n%s\n\n", STR_ARG(req->rel),
               r->pattern, summary);
    TRY(add_fields(req->arena, r, b));
    buf_printf(b, "## DESCRIPTION\n\n%s\n", r->details != NULL ? r->details : summary);
    return 0;
}

static void engine_help(const struct engine *e, struct buf *b)
{
    buf_printf(b, "## DESCRIPTION\n\n%s\n\n## PATHS\n\n"
                  "The following paths are supported by this backend. To view help for\n"
                  "any of the paths below, use the help command with any route matching\n"
                  "the path pattern. Note that depending on the policy of your auth token,\n"
                  "you may or may not be able to access certain paths.\n",
               e->help != NULL ? e->help : e->type);
    for (size_t i = 0; i < e->n_routes; i++)
        buf_printf(b, "\n    %s\n        %s\n", e->routes[i].pattern,
                   e->routes[i].summary != NULL ? e->routes[i].summary : "");
}

int help_answer(struct request *req, const struct engine *engine, struct response *resp)
{
    AUTO(buf_free) struct buf b = { 0 };
    if (req->rel.n == 0)
        engine_help(engine, &b);
    else if (req->route == NULL)
        return 0;
    else if (route_help(req, req->route, &b) < 0)
        return err_set(&req->err, ERR_NOMEM, "out of memory");
    TRY(buf_check(&b, &req->err));
    json_put_str(response_data(resp), "help", arena_dup(req->arena, buf_str(&b)));
    json_put_null(response_data(resp), "see_also");
    resp->no_envelope = true;
    return 1;
}
