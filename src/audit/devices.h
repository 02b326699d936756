/* Devices: the kinds of audit device that there are; one line each in server/registry.c. */
#ifndef AUDIT_DEVICES_H
#define AUDIT_DEVICES_H

#include "logical/device.h"

extern const struct device_kind device_file;   /* file.c */
extern const struct device_kind device_syslog; /* syslog.c */
extern const struct device_kind device_socket; /* socket.c */

#endif
