/* Yaml: a JSON value printed as the YAML that Vault's command line prints. */
#ifndef CMD_YAML_H
#define CMD_YAML_H

#include "codec/json.h"

/* Names sorted, lists not indented below their name; each line ends with a line end. */
void yaml_print(const struct json *v, struct buf *out);

#endif
