/* `shoal sim`: a stand-in of Telegram's Bot API with a chat page, for demonstrations and tests. Written from the
 * Bot API's description alone: it shares no code with the bots' own codec, so that one misreading cannot hide. */
#ifndef SHOAL_SIM_SIM_H
#define SHOAL_SIM_SIM_H

/* argv[0] is the verb. Returns the exit code: 0 stopped by a signal, 1 it could not start, 2 wrong usage. */
int verb_sim(int argc, char **argv);

#endif
