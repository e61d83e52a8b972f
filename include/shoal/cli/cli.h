/* The verbs of the command line that have no program behind them. argv[0] is the verb; each returns enum exit_code. */
#ifndef SHOAL_CLI_CLI_H
#define SHOAL_CLI_CLI_H

int verb_migrate(int argc, char **argv);
int verb_code(int argc, char **argv);
int verb_persona(int argc, char **argv);
int verb_user(int argc, char **argv);
int verb_wallet(int argc, char **argv);
int verb_trade(int argc, char **argv);
int verb_ladder(int argc, char **argv);
int verb_webhook(int argc, char **argv);
int verb_status(int argc, char **argv);
int verb_workers(int argc, char **argv);
int verb_queue(int argc, char **argv);
int verb_dead(int argc, char **argv);
int verb_cache(int argc, char **argv);
int verb_config(int argc, char **argv);

#endif
