/* The gateway: takes updates from the platforms and appends them to the stream. */
#ifndef SHOAL_GATEWAY_GATEWAY_H
#define SHOAL_GATEWAY_GATEWAY_H

int verb_gateway(int argc, char **argv);

#endif
