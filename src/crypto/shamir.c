/*
 * Shamir's scheme byte by byte: each byte of the secret is the value at 0 of a random polynomial
 * over GF(2^8).  No branch and no address depends on a secret byte.
 */
#include "crypto/shamir.h"

#include "base/random.h"

enum { SHARES_MAX = 255, POLYNOMIAL = 0x1b }; /* x^8 + x^4 + x^3 + x + 1, its top bit left off */

/* Product, in eight equal rounds of masks. */
static uint8_t multiply(uint8_t a, uint8_t b)
{
    uint8_t product = 0;

    for (int i = 0; i < 8; i++) {
        product ^= (uint8_t)(-(b & 1) & a);
        a = (uint8_t)((a << 1) ^ (-(a >> 7) & POLYNOMIAL));
        b >>= 1;
    }
    return product;
}

/* 1/a = a^254: every element but 0 has order 255. */
static uint8_t inverse(uint8_t a)
{
    uint8_t square = a, product = 1;

    for (int i = 0; i < 7; i++) {
        square = multiply(square, square);
        product = multiply(product, square);
    }
    return product;
}

/* The x bytes: 1 to 255 in random order, of which the first ones are used. */
static void shuffle_xs(uint8_t xs[SHARES_MAX])
{
    for (int i = 0; i < SHARES_MAX; i++)
        xs[i] = (uint8_t)(i + 1);
    for (uint32_t i = SHARES_MAX - 1; i > 0; i--) {
        uint32_t j = random_below(i + 1);
        uint8_t x = xs[i];
        xs[i] = xs[j];
        xs[j] = x;
    }
}

/* Value at ${x} (Horner): ${n} coefficients, the constant one first. */
static uint8_t evaluate(const uint8_t *coefficients, size_t n, uint8_t x)
{
    uint8_t y = 0;

    while (n-- > 0)
        y = multiply(y, x) ^ coefficients[n];
    return y;
}

int shamir_split(struct str secret, int shares, int threshold, struct secret *out,
                 struct err *err)
{
    AUTO(secret_free) struct secret coefficients = { 0 };
    uint8_t xs[SHARES_MAX];

    if (threshold < 2 || shares < threshold || shares > SHARES_MAX)
        return err_set(err, ERR_BAD_REQUEST, "cannot split into %d parts with a threshold of %d",
                       shares, threshold);
    if (secret.n == 0)
        return err_set(err, ERR_BAD_REQUEST, "cannot split an empty secret");
    TRY(secret_alloc(&coefficients, (size_t)threshold, err));
    shuffle_xs(xs);
    for (int s = 0; s < shares; s++) {
        if (secret_alloc(&out[s], secret.n + 1, err) < 0) {
            while (s-- > 0)
                secret_free(&out[s]);
            return -1;
        }
        out[s].p[secret.n] = xs[s];
    }
    for (size_t i = 0; i < secret.n; i++) {
        random_fill(coefficients.p, (size_t)threshold);
        coefficients.p[0] = (uint8_t)secret.p[i];
        for (int s = 0; s < shares; s++)
            out[s].p[i] = evaluate(coefficients.p, (size_t)threshold, xs[s]);
    }
    return 0;
}

static uint8_t x_of(struct str part)
{
    return (uint8_t)part.p[part.n - 1];
}

static int check_parts(const struct str *parts, int n, struct err *err)
{
    if (n < 2)
        return err_set(err, ERR_BAD_REQUEST,
                       "less than two parts cannot be used to reconstruct the secret");
    if (n > SHARES_MAX)
        return err_set(err, ERR_BAD_REQUEST, "parts cannot exceed 255");
    if (parts[0].n < 2)
        return err_set(err, ERR_BAD_REQUEST, "parts must be at least two bytes");
    for (int i = 1; i < n; i++)
        if (parts[i].n != parts[0].n)
            return err_set(err, ERR_BAD_REQUEST, "all parts must be the same length");
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++)
            if (x_of(parts[i]) == x_of(parts[j]))
                return err_set(err, ERR_BAD_REQUEST, "duplicate part detected");
    return 0;
}

/* Lagrange's weight of part ${i} for the value at 0; minus is plus in this field. */
static uint8_t weight(const struct str *parts, int n, int i)
{
    uint8_t w = 1;

    for (int j = 0; j < n; j++)
        if (j != i)
            w = multiply(w, multiply(x_of(parts[j]), inverse(x_of(parts[i]) ^ x_of(parts[j]))));
    return w;
}

int shamir_combine(const struct str *parts, int n, struct secret *out, struct err *err)
{
    TRY(check_parts(parts, n, err));
    TRY(secret_alloc(out, parts[0].n - 1, err));
    for (int i = 0; i < n; i++) {
        uint8_t w = weight(parts, n, i);
        for (size_t at = 0; at < out->n; at++)
            out->p[at] ^= multiply(w, (uint8_t)parts[i].p[at]);
    }
    return 0;
}
