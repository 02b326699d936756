/* Version: the numbers that the program tells; this header is the only place that holds them. */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

/* The release of Vault whose API and command line are answered for. */
#define VERSION_API "1.8.12"
/* Coffer's own number comes from meson.build: -DVERSION_COFFER="0.1.0". */
#ifndef VERSION_COFFER
#define VERSION_COFFER "0.0.0"
#endif
/* Semantic version: Coffer's number is build metadata behind Vault's. */
#define VERSION_FULL VERSION_API "+coffer." VERSION_COFFER

#endif
