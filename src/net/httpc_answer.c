/* Httpc_answer: what the HTTP client is asked, and what it answers. */
#include "net/httpc_answer.h"

struct str httpc_answer_header(const struct httpc_answer *answer, const char *name)
{
    struct str rest = buf_str(&answer->head), line;
    while (str_next(&rest, '\n', &line)) {
        ptrdiff_t colon = str_find_byte(line, ':');
        if (colon > 0 && str_eq_nocase(str_head(line, (size_t)colon), str_of(name)))
            return str_trim(str_from(line, (size_t)colon + 1));
    }
    return STR("");
}

void httpc_answer_free(struct httpc_answer *answer)
{
    buf_free(&answer->head);
    buf_free(&answer->body);
    answer->status = 0;
}

void httpc_answer_reset(struct httpc_answer *answer)
{
    buf_clear(&answer->head);
    buf_clear(&answer->body);
    answer->status = 0;
}
