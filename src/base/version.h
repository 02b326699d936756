#define VERSION_FULL "1.8.0"
