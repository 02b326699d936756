/* Instants and durations as text; refusals are worded as Go's package time words them. */
#include "codec/timefmt.h"

#include <stdio.h>

#define NS_PER_S INT64_C(1000000000)

enum { QUOTED_MAX = 200 };

/* ${s} in double quotes, cut when it is long, for a refusal's text. */
static const char *quoted(struct str s, char out[QUOTED_MAX])
{
    size_t n = 0;
    out[n++] = '"';
    for (size_t i = 0; i < s.n && n < QUOTED_MAX - 6; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < ' ' || c >= 0x80) {
            n += (size_t)snprintf(out + n, QUOTED_MAX - n, "\\x%02x", c);
            continue;
        }
        if (c == '"' || c == '\\')
            out[n++] = '\\';
        out[n++] = (char)c;
    }
    out[n++] = '"';
    out[n] = 0;
    return out;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* ----------------------------------------------------------------- calendar */

/* Days since 1970-01-01 of a date of the Gregorian calendar; years count from March inside. */
static int64_t days_of(int64_t year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t m = month <= 2 ? month + 9 : month - 3; /* March is 0 */
    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int month_days(int64_t year, int month)
{
    static const char days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    return days[month - 1] + (month == 2 && is_leap(year));
}

struct date {
    int64_t year;
    int month, day;
};

static struct date date_of(int64_t days)
{
    /* The estimate is at most one year late or early. */
    struct date d = { 1970 + days * 400 / 146097, 1, 1 };
    while (days_of(d.year, 1, 1) > days)
        d.year--;
    while (days_of(d.year + 1, 1, 1) <= days)
        d.year++;
    int64_t left = days - days_of(d.year, 1, 1);
    while (left >= month_days(d.year, d.month))
        left -= month_days(d.year, d.month++);
    d.day = (int)left + 1;
    return d;
}

/* ".06" of 60000000; "" of 0. */
static const char *fraction_text(int64_t ns, char out[12])
{
    if (ns == 0)
        return "";
    int n = snprintf(out, 12, ".%09d", (int)ns);
    while (out[n - 1] == '0')
        out[--n] = 0;
    return out;
}

struct str time_format(struct arena *a, int64_t unix_ns)
{
    if (unix_ns == TIME_ZERO)
        return STR("0001-01-01T00:00:00Z");
    int64_t s = unix_ns / NS_PER_S, ns = unix_ns % NS_PER_S;
    if (ns < 0) {
        ns += NS_PER_S;
        s--;
    }
    int64_t days = s / 86400, in_day = s % 86400;
    if (in_day < 0) {
        in_day += 86400;
        days--;
    }
    struct date d = date_of(days);
    int t = (int)in_day;
    char fraction[12];
    return arena_printf(a, "%04d-%02d-%02dT%02d:%02d:%02d%sZ", (int)d.year, d.month, d.day,
                        t / 3600, t / 60 % 60, t % 60, fraction_text(ns, fraction));
}

/* ------------------------------------------------------------------ instants */

enum part { YEAR, MONTH, DAY, HOUR, MINUTE, SECOND, PARTS };

/* What stands where in an RFC 3339 text: a literal before the part, then its digits. */
static const struct {
    const char *before;
    int digits;
    const char *layout; /* Go's name of the part */
    const char *name;
    int least, most;
} parts[PARTS] = {
    [YEAR] = { "", 4, "2006", "year", 0, 9999 },     [MONTH] = { "-", 2, "01", "month", 1, 12 },
    [DAY] = { "-", 2, "02", "day", 0, 99 },          [HOUR] = { "T", 2, "15", "hour", 0, 23 },
    [MINUTE] = { ":", 2, "04", "minute", 0, 59 },    [SECOND] = { ":", 2, "05", "second", 0, 59 },
};

static int not_time(struct str whole, struct str rest, const char *layout, struct err *err)
{
    char text[QUOTED_MAX], left[QUOTED_MAX];
    return err_set(err, ERR_BAD_REQUEST,
                   "parsing time %s as \"2006-01-02T15:04:05Z07:00\": cannot parse %s as \"%s\"",
                   quoted(whole, text), quoted(rest, left), layout);
}

static int bad_range(struct str whole, const char *what, struct err *err)
{
    char text[QUOTED_MAX];
    return err_set(err, ERR_BAD_REQUEST, "parsing time %s: %s out of range", quoted(whole, text),
                   what);
}

/* ${digits} digits at the start of ${rest}; steps over them. */
static bool take_digits(struct str *rest, int digits, int *out)
{
    int v = 0;
    if (rest->n < (size_t)digits)
        return false;
    for (int i = 0; i < digits; i++) {
        if (!is_digit(rest->p[i]))
            return false;
        v = v * 10 + (rest->p[i] - '0');
    }
    *out = v;
    *rest = str_from(*rest, (size_t)digits);
    return true;
}

static int take_parts(struct str whole, struct str *rest, int v[PARTS], struct err *err)
{
    for (int i = 0; i < PARTS; i++) {
        struct str before = str_of(parts[i].before);
        if (!str_starts(*rest, before))
            return not_time(whole, *rest, parts[i].before, err);
        *rest = str_from(*rest, before.n);
        /* Go takes an hour of one digit too. */
        if (!take_digits(rest, parts[i].digits, &v[i])
            && (i != HOUR || !take_digits(rest, 1, &v[i])))
            return not_time(whole, *rest, parts[i].layout, err);
        if (v[i] < parts[i].least || v[i] > parts[i].most)
            return bad_range(whole, parts[i].name, err);
    }
    return 0;
}

/* ".5" and the like; digits beyond nanoseconds are dropped. */
static int64_t take_fraction(struct str *rest)
{
    int64_t ns = 0, unit = NS_PER_S / 10;
    if (rest->n < 2 || rest->p[0] != '.' || !is_digit(rest->p[1]))
        return 0;
    for (*rest = str_from(*rest, 1); rest->n > 0 && is_digit(rest->p[0]); unit /= 10) {
        ns += (rest->p[0] - '0') * unit;
        *rest = str_from(*rest, 1);
    }
    return ns;
}

static int take_offset(struct str whole, struct str *rest, int64_t *seconds, struct err *err)
{
    struct str at = *rest;
    int hours = 0, minutes = 0;
    *seconds = 0;
    if (str_starts(*rest, STR("Z"))) {
        *rest = str_from(*rest, 1);
        return 0;
    }
    if (at.n < 6 || (at.p[0] != '+' && at.p[0] != '-') || at.p[3] != ':')
        return not_time(whole, at, "Z07:00", err);
    struct str hh = { at.p + 1, 2 }, mm = { at.p + 4, 2 };
    if (!take_digits(&hh, 2, &hours) || !take_digits(&mm, 2, &minutes))
        return not_time(whole, at, "Z07:00", err);
    if (hours > 24 || minutes > 59)
        return bad_range(whole, hours > 24 ? "time zone offset hour" : "time zone offset minute",
                         err);
    *seconds = (hours * 60 + minutes) * (at.p[0] == '-' ? -60 : 60);
    *rest = str_from(*rest, 6);
    return 0;
}

int time_parse(struct str s, int64_t *unix_ns, struct err *err)
{
    struct str rest = s;
    int v[PARTS];
    int64_t offset, whole_s, ns;
    TRY(take_parts(s, &rest, v, err));
    int64_t fraction = take_fraction(&rest);
    TRY(take_offset(s, &rest, &offset, err));
    if (rest.n > 0) {
        char text[QUOTED_MAX], left[QUOTED_MAX];
        return err_set(err, ERR_BAD_REQUEST, "parsing time %s: extra text: %s", quoted(s, text),
                       quoted(rest, left));
    }
    if (v[DAY] < 1 || v[DAY] > month_days(v[YEAR], v[MONTH]))
        return bad_range(s, "day", err);
    whole_s = days_of(v[YEAR], v[MONTH], v[DAY]) * 86400 + v[HOUR] * 3600 + v[MINUTE] * 60
              + v[SECOND] - offset;
    if (whole_s == days_of(1, 1, 1) * 86400 && fraction == 0) {
        *unix_ns = TIME_ZERO;
        return 0;
    }
    /* Before 1970 the fraction counts the other way: keep the product inside the type. */
    if (whole_s < 0 && fraction > 0) {
        whole_s++;
        fraction -= NS_PER_S;
    }
    if (__builtin_mul_overflow(whole_s, NS_PER_S, &ns) || __builtin_add_overflow(ns, fraction, &ns)
        || ns == TIME_ZERO)
        return bad_range(s, "year", err);
    *unix_ns = ns;
    return 0;
}

/* ----------------------------------------------------------------- durations */

static const struct unit {
    struct str name;
    int64_t ns;
} units[] = {
    { STR_INIT("ns"), 1 },
    { STR_INIT("us"), 1000 },
    { STR_INIT("\xC2\xB5s"), 1000 }, /* U+00B5, the micro sign */
    { STR_INIT("\xCE\xBCs"), 1000 }, /* U+03BC, the Greek letter */
    { STR_INIT("ms"), 1000000 },
    { STR_INIT("s"), NS_PER_S },
    { STR_INIT("m"), 60 * NS_PER_S },
    { STR_INIT("h"), 3600 * NS_PER_S },
};

/* ${ns} in units of ten to the ${digits}, with a fraction when there is one. */
static struct str in_unit(struct arena *a, const char *sign, uint64_t ns, int digits,
                          const char *unit)
{
    uint64_t scale = 1;
    for (int i = 0; i < digits; i++)
        scale *= 10;
    char fraction[16];
    int n = snprintf(fraction, sizeof fraction, ".%0*u", digits, (unsigned)(ns % scale));
    while (fraction[n - 1] == '0')
        n--;
    if (fraction[n - 1] == '.')
        n = 0;
    return arena_printf(a, "%s%llu%.*s%s", sign, (unsigned long long)(ns / scale), n, fraction,
                        unit);
}

struct str duration_format(struct arena *a, int64_t ns)
{
    const char *sign = ns < 0 ? "-" : "";
    uint64_t size = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    if (size == 0)
        return STR("0s");
    if (size < 1000)
        return arena_printf(a, "%s%dns", sign, (int)size);
    if (size < 1000000)
        return in_unit(a, sign, size, 3, "\xC2\xB5s");
    if (size < (uint64_t)NS_PER_S)
        return in_unit(a, sign, size, 6, "ms");
    const uint64_t minute = 60 * (uint64_t)NS_PER_S;
    struct str seconds = in_unit(a, size < minute ? sign : "", size % minute, 9, "s");
    unsigned long long minutes = size / minute;
    if (minutes == 0)
        return seconds;
    if (minutes < 60)
        return arena_printf(a, "%s%llum" STR_FMT, sign, minutes, STR_ARG(seconds));
    return arena_printf(a, "%s%lluh%llum" STR_FMT, sign, minutes / 60, minutes % 60,
                        STR_ARG(seconds));
}

static int not_duration(struct str s, struct err *err)
{
    char text[QUOTED_MAX];
    return err_set(err, ERR_BAD_REQUEST, "time: invalid duration %s", quoted(s, text));
}

/* The unit at the start of ${rest}; steps over it. */
static int take_unit(struct str whole, struct str *rest, int64_t *ns, struct err *err)
{
    char text[QUOTED_MAX], name_text[QUOTED_MAX];
    size_t n = 0;
    while (n < rest->n && rest->p[n] != '.' && !is_digit(rest->p[n]))
        n++;
    struct str name = { rest->p, n };
    if (n == 0)
        return err_set(err, ERR_BAD_REQUEST, "time: missing unit in duration %s",
                       quoted(whole, text));
    *rest = str_from(*rest, n);
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (str_eq(units[i].name, name)) {
            *ns = units[i].ns;
            return 0;
        }
    return err_set(err, ERR_BAD_REQUEST, "time: unknown unit %s in duration %s",
                   quoted(name, name_text), quoted(whole, text));
}

struct decimal {
    int64_t whole, fraction;
    double scale; /* of the fraction */
};

/* Digits with at most one point; false when there is no digit or the whole part is too large. */
static bool take_decimal(struct str *rest, struct decimal *d)
{
    size_t i = 0, seen = 0;
    *d = (struct decimal){ 0, 0, 1 };
    for (; i < rest->n && is_digit(rest->p[i]); i++, seen++)
        if (__builtin_mul_overflow(d->whole, 10, &d->whole)
            || __builtin_add_overflow(d->whole, rest->p[i] - '0', &d->whole))
            return false;
    if (i < rest->n && rest->p[i] == '.') {
        bool full = false;
        for (i++; i < rest->n && is_digit(rest->p[i]); i++, seen++) {
            /* Digits that no longer fit are far below a nanosecond. */
            full = full || d->fraction > (INT64_MAX - 9) / 10;
            if (full)
                continue;
            d->fraction = d->fraction * 10 + (rest->p[i] - '0');
            d->scale *= 10;
        }
    }
    *rest = str_from(*rest, i);
    return seen > 0;
}

int duration_parse_go(struct str s, int64_t *ns, struct err *err)
{
    struct str rest = s;
    bool minus = str_starts(s, STR("-"));
    int64_t sum = 0;
    if (minus || str_starts(s, STR("+")))
        rest = str_from(s, 1);
    if (str_is(rest, "0")) {
        *ns = 0;
        return 0;
    }
    if (rest.n == 0)
        return not_duration(s, err);
    while (rest.n > 0) {
        struct decimal d;
        int64_t unit = 0, v;
        if (!take_decimal(&rest, &d))
            return not_duration(s, err);
        TRY(take_unit(s, &rest, &unit, err));
        /* In floating point, as Go: a third of an hour written with 19 digits is 20 minutes. */
        int64_t part = (int64_t)((double)d.fraction * ((double)unit / d.scale));
        if (__builtin_mul_overflow(d.whole, unit, &v) || __builtin_add_overflow(v, part, &v)
            || __builtin_add_overflow(sum, v, &sum))
            return not_duration(s, err);
    }
    *ns = minus ? -sum : sum;
    return 0;
}

/* Whole numbers of ${unit_ns}; texts as Go's strconv.ParseInt. */
static int parse_count(struct str s, int64_t unit_ns, int64_t *ns, struct err *err)
{
    struct str number = str_starts(s, STR("+")) ? str_from(s, 1) : s;
    struct str digits = str_starts(s, STR("-")) ? str_from(s, 1) : number;
    bool number_like = digits.n > 0;
    for (size_t i = 0; i < digits.n; i++)
        number_like = number_like && is_digit(digits.p[i]);
    int64_t count;
    if (number_like && str_to_i64(number, &count) && !__builtin_mul_overflow(count, unit_ns, ns))
        return 0;
    char text[QUOTED_MAX];
    return err_set(err, ERR_BAD_REQUEST, "strconv.ParseInt: parsing %s: %s", quoted(s, text),
                   number_like ? "value out of range" : "invalid syntax");
}

int duration_parse(struct str s, bool days, int64_t *ns, struct err *err)
{
    if (s.n == 0) {
        *ns = 0;
        return 0;
    }
    char last = s.p[s.n - 1];
    if (last == 's' || last == 'm' || last == 'h')
        return duration_parse_go(s, ns, err);
    if (days && last == 'd')
        return parse_count(str_head(s, s.n - 1), 86400 * NS_PER_S, ns, err);
    return parse_count(s, NS_PER_S, ns, err);
}
