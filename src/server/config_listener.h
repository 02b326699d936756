/* Config_listener: one `listener` block of the configuration. */
#ifndef SERVER_CONFIG_LISTENER_H
#define SERVER_CONFIG_LISTENER_H

#include "server/config.h"
#include "server/config_table.h"

/* Read and judge a block.  -1: ERR_BAD_REQUEST with file, line and what was expected. */
int config_listener_read(const struct config_reader *r, const struct hcl_block *block,
                         struct config_listener *out) MUST_USE;

#endif
