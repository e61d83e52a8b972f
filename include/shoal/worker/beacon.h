/* What a worker tells the fleet about itself once a second, for `shoal workers`: a JSON object in the caches' Redis,
 * key "shoal:{cache}:worker:<id>", gone with it, or 5 s after the last word. */
#ifndef SHOAL_WORKER_BEACON_H
#define SHOAL_WORKER_BEACON_H

struct worker;

void beacon_send(struct worker *w);
void beacon_end(struct worker *w); /* it is gone */

#endif
