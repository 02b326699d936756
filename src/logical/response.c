/* Response: builders that handlers fill their answers with. */
#include "logical/response.h"

#include <stdarg.h>
#include <stdio.h>

struct json *response_data(struct response *resp)
{
    if (resp->data == NULL)
        resp->data = json_object(resp->arena);
    return resp->data;
}

struct json *response_object(struct response *resp, const char *key)
{
    return json_put_object(response_data(resp), key);
}

void response_warn(struct response *resp, const char *format, ...)
{
    va_list args, again;

    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = n < 0 ? NULL : arena_bytes(resp->arena, (size_t)n + 1);
    if (text != NULL)
        vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    if (text == NULL)
        return; /* the arena remembers the lack of memory */
    if (resp->warnings == NULL)
        resp->warnings = json_array(resp->arena);
    json_add_str(resp->warnings, (struct str){ text, (size_t)n });
}

int response_keys(struct response *resp, const struct strs *keys)
{
    if (keys->n == 0)
        return 0;
    struct json *list = json_put_array(response_data(resp), "keys");
    for (size_t i = 0; i < keys->n; i++)
        json_add_str(list, keys->v[i]);
    return 1;
}

void response_name(struct response_names *names, struct str name)
{
    struct buf *text = &names->text;
    buf_byte(text, names->n == 0 ? '[' : ',');
    json_print_string(name, text);
    names->n++;
}

int response_names_put(struct response *resp, struct response_names *names, struct err *err)
{
    if (names->n == 0)
        return 0;
    buf_byte(&names->text, ']');
    struct str text = arena_take(resp->arena, &names->text);
    json_put(response_data(resp), "keys", json_raw(resp->arena, text));
    TRY(arena_check(resp->arena, err));
    return 1;
}

void response_names_free(struct response_names *names)
{
    buf_free(&names->text);
}
