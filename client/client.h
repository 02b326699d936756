/* Client: the client library's public header, for our own folders. */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include "coffer.h"

#endif
