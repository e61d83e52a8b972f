/* What `shoal version` prints: git describe of the tree it was built from. */
#ifndef SHOAL_BASE_VERSION_H
#define SHOAL_BASE_VERSION_H

extern const char shoal_version[];

#endif
