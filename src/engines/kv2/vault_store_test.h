/* Entries of a store written by Vault 1.8, decrypted: what lies below the mount's uuid. */
#ifndef ENGINES_KV2_VAULT_STORE_H
#define ENGINES_KV2_VAULT_STORE_H

#include "base/str.h"

#define VAULT_PREFIX "75c3cbce-fb28-52a7-1197-2b56eedeec61/"

static const struct { const char *key; struct str value; } vault_store[] = {
    { VAULT_PREFIX "upgrading",
      STR_INIT(
      "\x0a\x0b\x08\xd8\x97\x89\xd8\x06\x10\xd4\xa9\xf7P\x10\x01") },
    { VAULT_PREFIX "config",
      STR_INIT(
      "\x08\x09") },
    { VAULT_PREFIX "salt",
      STR_INIT(
      "10f2c9b5-2db6-f226-27e8-102d760f0e4f") },
    { VAULT_PREFIX "metadata/5kL0RuLcyzIUU6GJPlXehi4rBmus1n4OKNC8dN8ihTin60WqLd716ueApaZJc"
      "9",
      STR_INIT(
      "\x0a\x04gone\x12 \x08\x01\x12\x1c\x0a\x0c\x08\xdb\x97\x89\xd8\x06\x10"
      "\xb5\xce\xe5\xbd\x01\x12\x0c\x08\xdb\x97\x89\xd8\x06\x10\xc7\xf3\xfb"
      "\xcb\x01\x18\x01*\x0c\x08\xdb\x97\x89\xd8\x06\x10\xb5\xce\xe5\xbd\x01"
      "2\x0c\x08\xdb\x97\x89\xd8\x06\x10\xb5\xce\xe5\xbd\x01") },
    { VAULT_PREFIX "metadata/5kL0ashxy3CyGlNiPyYJsEMCOXlTHjuyyR3B16YT5uRW6i1KrGzTJIkRTJM6L"
      "j/5kKE6Cxl0CwuqjKEwz4hjQbMSN9SN13pMMIprYC4w8kZYN6md9dLEIbrN3PEg5",
      STR_INIT(
      "\x0a\x08"
      "app/conf\x12\x13\x08\x01\x12\x0f\x0a\x0b\x08\xdb\x97\x89\xd8\x06\x10"
      "\xf3\x9b\xd4s\x18\x01\x12 \x08\x02\x12\x1c\x0a\x0c\x08\xdb\x97\x89\xd8"
      "\x06\x10\xa9\x96\x96\x80\x01\x12\x0c\x08\xdb\x97\x89\xd8\x06\x10\x86"
      "\xae\xb6\xa4\x01\x12\x12\x08\x04\x12\x0e\x0a\x0c\x08\xdb\x97\x89\xd8"
      "\x06\x10\xe9\xbe\x9c\x9c\x01\x12\x12\x08\x03\x12\x0e\x0a\x0c\x08\xdb"
      "\x97\x89\xd8\x06\x10\xea\x99\xf1\x8b\x01\x18\x04*\x0b\x08\xdb\x97\x89"
      "\xd8\x06\x10\xf3\x9b\xd4s2\x0c\x08\xdb\x97\x89\xd8\x06\x10\xe9\xbe\x9c"
      "\x9c\x01"
      "8\x06") },
    { VAULT_PREFIX "policy/metadata",
      STR_INIT(
      "{\"name\":\"metadata\",\"keys\":{\"1\":{\"key\":\"oKsSwF6GSPEJMlaGyJbP"
      "o01/oIxizgQshhyS8WSKkSM=\",\"hmac_key\":\"d5vFrPK8FozfzOCtdTCayhrFcSy7"
      "rjxyOINlXd8smuc=\",\"time\":\"2026-11-22T01:56:40.182280508Z\",\"ec_x"
      "\":null,\"ec_y\":null,\"ec_d\":null,\"rsa_key\":null,\"public_key\":\""
      "\",\"convergent_version\":3,\"creation_time\":1795312600}},\"derived\""
      ":true,\"kdf\":1,\"convergent_encryption\":true,\"exportable\":false,\""
      "min_decryption_version\":1,\"min_encryption_version\":0,\"latest_versi"
      "on\":1,\"archive_version\":1,\"archive_min_version\":0,\"min_available"
      "_version\":0,\"deletion_allowed\":false,\"convergent_version\":-1,\"ty"
      "pe\":0,\"backup_info\":null,\"restore_info\":null,\"allow_plaintext_ba"
      "ckup\":false,\"version_template\":\"{{version}}:\",\"storage_prefix\":"
      "\"75c3cbce-fb28-52a7-1197-2b56eedeec61\"}") },
    { VAULT_PREFIX "archive/metadata",
      STR_INIT(
      "{\"keys\":[{\"key\":null,\"hmac_key\":null,\"time\":\"0001-01-01T00:00"
      ":00Z\",\"ec_x\":null,\"ec_y\":null,\"ec_d\":null,\"rsa_key\":null,\"pu"
      "blic_key\":\"\",\"convergent_version\":0,\"creation_time\":0},{\"key\""
      ":\"oKsSwF6GSPEJMlaGyJbPo01/oIxizgQshhyS8WSKkSM=\",\"hmac_key\":\"d5vFr"
      "PK8FozfzOCtdTCayhrFcSy7rjxyOINlXd8smuc=\",\"time\":\"2026-11-22T01:56:"
      "40.182280508Z\",\"ec_x\":null,\"ec_y\":null,\"ec_d\":null,\"rsa_key\":"
      "null,\"public_key\":\"\",\"convergent_version\":3,\"creation_time\":17"
      "95312600}]}") },
    { VAULT_PREFIX "versions/937/039dccf728007e3e6a90e778d808aa1caa768ffebaa9f8be18d3c0689"
      "c55f",
      STR_INIT(
      "\x0a\x17{\"tag\":\"visible\",\"v\":3}\x12\x0c\x08\xdb\x97\x89\xd8\x06"
      "\x10\xea\x99\xf1\x8b\x01") },
    { VAULT_PREFIX "versions/cf8/885c360f7e34fd36b0e1bdc1525ec6b5947095ead1053855ed7733e5d"
      "c6f7",
      STR_INIT(
      "\x0a\x17{\"tag\":\"visible\",\"v\":4}\x12\x0c\x08\xdb\x97\x89\xd8\x06"
      "\x10\xe9\xbe\x9c\x9c\x01") },
    { VAULT_PREFIX "versions/d79/582c75a19835208bd47a85c316ec4505349fa87510bf615f9eaf60050"
      "26f2",
      STR_INIT(
      "\x0a\x07{\"x\":1}\x12\x0c\x08\xdb\x97\x89\xd8\x06\x10\xb5\xce\xe5\xbd"
      "\x01") },
    { VAULT_PREFIX "versions/eae/ee766b4d50dcf10aa6c0d3afe5c616a0ba76ef9bea63815912a6a9ad2"
      "d442",
      STR_INIT(
      "\x0a\x17{\"tag\":\"visible\",\"v\":2}\x12\x0c\x08\xdb\x97\x89\xd8\x06"
      "\x10\xa9\x96\x96\x80\x01") },
};

#endif
