/* Record: a named key as it is stored, policy/<name> and archive/<name>, and how it changes. */
#ifndef ENGINES_TRANSIT_RECORD_H
#define ENGINES_TRANSIT_RECORD_H

#include "codec/json.h"
#include "engines/transit/type.h"

/*
 * Both documents are trees in one arena, edited in place; members that we do not know stay.
 * Nothing here touches the store: see store.h.
 */
struct transit_record {
    struct arena *arena;
    struct json *policy;
    struct json *archive;   /* {"keys": [...]}, index = version - the policy's min_available */
    bool policy_changed, archive_changed;
};

/* What a new key shall be. */
struct transit_spec {
    struct str name;
    enum transit_type type;
    bool derived, convergent, exportable, plaintext_backup;
};

/* -1: ERR_INTERNAL with Vault's text when the type cannot do what is asked. */
int transit_spec_check(const struct transit_spec *spec, struct err *err) MUST_USE;

/* A policy without versions and an empty archive. */
void transit_record_make(struct arena *a, const struct transit_spec *spec,
                         struct transit_record *out);

/* Parse; an empty ${archive} is an empty one. -1: ERR_CORRUPT. */
int transit_record_parse(struct arena *a, struct str policy, struct str archive,
                         struct transit_record *out, struct err *err) MUST_USE;

/*
 * From trees already parsed; ${archive} may be absent or null.  They become the record's.
 * -1: ERR_CORRUPT when they are no objects.
 */
int transit_record_from(struct arena *a, struct json *policy, struct json *archive,
                        struct transit_record *out, struct err *err) MUST_USE;

/* Bring a record of an old Vault up to date. */
int transit_record_upgrade(struct transit_record *r, int64_t now_ns, struct err *err) MUST_USE;

/* Make the next version: new key material. Long for RSA. */
int transit_record_rotate(struct transit_record *r, int64_t now_ns, struct err *err) MUST_USE;

/*
 * Move versions between policy and archive so that the policy holds those from
 * min_decryption_version on and the archive all from min_available_version on: to be called
 * before storing. -1: ERR_INTERNAL, the record contradicts itself.
 */
int transit_record_settle(struct transit_record *r, struct err *err) MUST_USE;

int64_t transit_record_int(const struct transit_record *r, const char *name);
void transit_record_set_int(struct transit_record *r, const char *name, int64_t v);
bool transit_record_bool(const struct transit_record *r, const char *name);
void transit_record_set_bool(struct transit_record *r, const char *name, bool v);
/* {"time": now, "version": latest} */
void transit_record_stamp(struct transit_record *r, const char *name, int64_t now_ns);

#endif
