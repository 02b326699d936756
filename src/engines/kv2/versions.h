/* Kv2/versions: delete/..., undelete/... and destroy/..., by version numbers. */
#ifndef ENGINES_KV2_VERSIONS_H
#define ENGINES_KV2_VERSIONS_H

#include "logical/route.h"

int kv2_versions_delete(struct request *req, struct response *resp);
int kv2_versions_undelete(struct request *req, struct response *resp);
int kv2_versions_destroy(struct request *req, struct response *resp);

#endif
