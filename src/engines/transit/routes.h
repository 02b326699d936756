/* Routes: the handlers of the engine's table, by file. */
#ifndef ENGINES_TRANSIT_ROUTES_H
#define ENGINES_TRANSIT_ROUTES_H

#include "logical/route.h"

/* keys.c */
route_fn transit_keys_list, transit_keys_read, transit_keys_write, transit_keys_delete;

/* config.c */
route_fn transit_config_write, transit_config_rotate, transit_config_trim;

/* encrypt.c */
route_fn transit_encrypt, transit_decrypt, transit_rewrap;
route_exists_fn transit_encrypt_exists;

/* datakey.c */
route_fn transit_datakey;

/* sign.c */
route_fn transit_sign, transit_verify;

/* hmac.c; items of a verify that have HMACs, from a batch or the request's own fields */
route_fn transit_hmac;
int transit_hmac_verify(struct request *req, const struct json *items, bool listed,
                        struct response *resp);

/* export.c */
route_fn transit_export;

/* backup.c */
route_fn transit_backup, transit_restore;

/* cachesize.c */
route_fn transit_cachesize_read, transit_cachesize_write;

#endif
