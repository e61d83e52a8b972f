#include "shoal/base/version.h"

const char shoal_version[] = SHOAL_VERSION;
