/* Ui: everything outside /v1/: the front page, and the files of the web interface. */
#ifndef API_UI_H
#define API_UI_H

#include "api/call.h"

/* Answer a request for ${path}, which does not begin with /v1/. */
void ui_answer(struct call *c, struct str path);

#endif
