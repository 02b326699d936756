#ifndef R_H
#define R_H
#include "core/lifecycle.h"
struct rekey; static inline int rekey_new(struct lifecycle *l, struct rekey **o, struct err *e){*o=NULL;return 0;} static inline void rekey_free(struct rekey*r){}
#endif
