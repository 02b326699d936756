/* Kv2/metadata: metadata/..., what is known of a secret and its versions, and the listing. */
#ifndef ENGINES_KV2_METADATA_H
#define ENGINES_KV2_METADATA_H

#include "logical/route.h"

int kv2_metadata_read(struct request *req, struct response *resp);
int kv2_metadata_list(struct request *req, struct response *resp);
int kv2_metadata_write(struct request *req, struct response *resp);
int kv2_metadata_delete(struct request *req, struct response *resp);

/* What metadata and config have in common: the three settings as sent. */
struct kv2_settings {
    bool has_max, has_cas, has_delete_after;
    uint32_t max_versions;
    bool cas_required;
    int64_t delete_after_ns;
};

struct kv2_settings kv2_metadata_settings(const struct request *req);

#endif
