/* Sshcert: OpenSSH certificates, made and signed (OpenSSH's PROTOCOL.certkeys). */
#ifndef CRYPTO_SSHCERT_H
#define CRYPTO_SSHCERT_H

#include "base/strs.h"
#include "crypto/sshkey.h"

/* A critical option or an extension. An empty value is none: the name alone counts. */
struct sshcert_option {
    struct str name, value;
};

/* What the certificate says; all borrowed. Times are Unix seconds. */
struct sshcert {
    bool host;
    uint64_t serial;
    struct str key_id;
    struct strs principals;    /* none: anybody */
    uint64_t valid_after, valid_before;
    const struct sshcert_option *critical, *extensions; /* any order, no name twice */
    size_t n_critical, n_extensions;
};

/*
 * Sign ${key} with ${ca}.  ${algorithm}: for RSA "ssh-rsa", "rsa-sha2-256" or "rsa-sha2-512", for
 * others the type of their key; empty is the type of the CA's key (which for RSA means SHA-1, as
 * with Vault 1.8).  ${type} and ${blob} in ${a} are what sshkey_line makes a file of.
 * -1: ERR_INTERNAL "ssh: unsupported signature algorithm ...".
 */
int sshcert_sign(struct arena *a, const struct sshcert *cert, const struct sshkey *key,
                 const struct pkey *ca, struct str algorithm, struct str *type, struct str *blob,
                 struct err *err) MUST_USE;

#endif
