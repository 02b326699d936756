/* Text: how words and values are laid out for people. */
#ifndef CMD_TEXT_H
#define CMD_TEXT_H

#include "codec/json.h"

/* Break at spaces so that no line passes 78 columns, each indented by ${pad}; no final line end. */
void text_wrap(struct str s, size_t pad, struct buf *out);

/* As Go prints a value with %v: "map[a:1 b:[x y]]", "<nil>". */
void text_value(const struct json *v, struct buf *out);

/* As Go prints a list of texts with %q: ["a" "b"]; anything else: []. */
void text_quoted_list(const struct json *v, struct buf *out);
void text_quoted(struct str s, struct buf *out);

/* A duration without its zero parts: "768h", "1h30m", "0s". */
struct str text_duration(struct arena *a, int64_t seconds);

/* Does the key look like a duration in seconds ("ttl", "x_period", ...)? */
bool text_is_duration_key(struct str key);

/* Number of characters (not bytes) of UTF-8 text. */
size_t text_width(struct str s);

#endif
