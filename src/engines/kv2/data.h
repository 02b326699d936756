/* Kv2/data: data/..., reading, writing and deleting the newest version. */
#ifndef ENGINES_KV2_DATA_H
#define ENGINES_KV2_DATA_H

#include "logical/route.h"

int kv2_data_read(struct request *req, struct response *resp);
int kv2_data_write(struct request *req, struct response *resp);
int kv2_data_delete(struct request *req, struct response *resp);
/* Of metadata too. */
int kv2_data_exists(struct request *req);

#endif
