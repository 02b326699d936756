#include "api/call.h"
#include "sys/system.h"
void rekey_get(struct call*c){} void rekey_put(struct call*c){} void rekey_del(struct call*c){} void rekey_update_put(struct call*c){} void rekey_verify_get(struct call*c){} void rekey_verify_put(struct call*c){} void rekey_verify_del(struct call*c){} void genroot_get(struct call*c){} void genroot_put(struct call*c){} void genroot_del(struct call*c){} void genroot_update_put(struct call*c){}
int key_status_read(struct request*q,struct response*r){return 0;} int rotate_write(struct request*q,struct response*r){return 0;} int rotate_config_read(struct request*q,struct response*r){return 0;} int rotate_config_write(struct request*q,struct response*r){return 0;}
