/* `shoal admin`: the API for operators, and its dashboard (SPEC 7). */
#ifndef SHOAL_ADMIN_ADMIN_H
#define SHOAL_ADMIN_ADMIN_H

int verb_admin(int argc, char **argv);

#endif
