/* Kv2/config: config, the mount's settings for all its secrets. */
#ifndef ENGINES_KV2_CONFIG_H
#define ENGINES_KV2_CONFIG_H

#include "logical/route.h"

int kv2_config_read(struct request *req, struct response *resp);
int kv2_config_write(struct request *req, struct response *resp);

#endif
