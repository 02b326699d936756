#ifndef G_H
#define G_H
#include "core/lifecycle.h"
struct genroot; static inline int genroot_new(struct lifecycle *l, struct genroot **o, struct err *e){*o=NULL;return 0;} static inline void genroot_free(struct genroot*r){}
#endif
