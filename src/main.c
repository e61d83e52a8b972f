/* The verb table. A new verb is one row: help, usage and completion come from it. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "shoal/admin/admin.h"
#include "shoal/base/args.h"
#include "shoal/base/shown.h"
#include "shoal/base/version.h"
#include "shoal/cli/cli.h"
#include "shoal/cli/out.h"
#include "shoal/gateway/gateway.h"
#include "shoal/sim/sim.h"
#include "shoal/up/up.h"
#include "shoal/worker/worker.h"

#define DESCRIPTORS 65536

static int verb_help(int argc, char **argv);
static int verb_version(int argc, char **argv);
static int verb_completion(int argc, char **argv);

enum section { LOCAL, PROGRAMS, ADMIN, OTHER, SECTIONS };
static const char *const section_titles[SECTIONS] = {
    [LOCAL] = "Local stack",
    [PROGRAMS] = "Programs",
    [ADMIN] = "Administration",
    [OTHER] = "Other",
};

struct verb {
	const char *name;
	enum section section;
	int (*run)(int argc, char **argv);
	const char *help;  /* one line */
	const char *words; /* what may follow it, for completion */
	const char *usage; /* `shoal help VERB` */
};

static const struct verb verbs[] = {
    {"up", LOCAL, verb_up, "start the local stack in ./.shoal", "--workers",
     "shoal up [--workers N]\n\n"
     "Runs a whole local stack in ./.shoal: its own Redis and PostgreSQL, migrations, demo data, the simulator, the\n"
     "gateway and N workers. Taken ports are stepped over; the real ones are printed. Ctrl-C stops all of it; the\n"
     "next `shoal up` goes on with the same data.\n"},
    {"down", LOCAL, verb_down, "stop it", "", "shoal down\n\nStops the stack that runs in ./.shoal. Its data stays.\n"},
    {"reset", LOCAL, verb_reset, "remove its data", "--yes",
     "shoal reset [--yes]\n\nRemoves ./.shoal with all data of the local stack. Asks first, unless told --yes.\n"},

    {"gateway", PROGRAMS, verb_gateway, "take updates from the platforms into the stream", "",
     "shoal gateway\n\n"
     "Receives webhooks, or polls Telegram (SHOAL_TELEGRAM_MODE), and appends what comes in to the stream.\n"
     "It answers a platform only after Redis has the entry.\n"},
    {"worker", PROGRAMS, verb_worker, "work off the stream", "",
     "shoal worker\n\n"
     "Takes entries from the stream and handles them. Start as many as you like. SIGTERM lets it finish what it has "
     "in\n"
     "hand (SHOAL_DRAIN_S), then it leaves.\n"},
    {"admin", PROGRAMS, verb_admin, "serve the API for operators", "",
     "shoal admin\n\n"
     "Listens on SHOAL_ADMIN_LISTEN. Who calls shows a bearer token: that of SHOAL_ADMIN_TOKEN may change things, that "
     "of\n"
     "SHOAL_VIEWER_TOKEN only look.\n"},
    {"sim", PROGRAMS, verb_sim, "pretend to be the platforms",
     "--listen --bot --limits --retry-scale --query-ttl-s --record --discord --discord-seed --answer-ms",
     "shoal sim [--listen HOST:PORT] [--bot NAME=TOKEN]... [--limits on|off] [--retry-scale F] [--query-ttl-s N]\n"
     "          [--record FILE] [--discord NAME=APP_ID:TOKEN [--discord-seed FILE] [--answer-ms N]]\n\n"
     "A simulator of the platforms' APIs, with a web page to chat with the bots. For development and tests.\n"
     "  --listen       127.0.0.1:8090 unless told otherwise\n"
     "  --limits       whether the platform's own flood limits count (on)\n"
     "  --retry-scale  shortens the pauses between deliveries of a webhook that fails, 0 to 1 (1)\n"
     "  --query-ttl-s  how long a button press may be answered (30)\n"
     "  --record       appends every call to FILE, as JSON lines\n"
     "  --discord      plays Discord for this application; unless bots are named, the ladder of SHOAL_LADDER_APP_ID\n"
     "                 and SHOAL_LADDER_TOKEN\n"
     "  --discord-seed its private key, 64 hexadecimal digits in FILE (a new one)\n"
     "  --answer-ms    how long the first response to an interaction may take (3000)\n"},

    {"migrate", ADMIN, verb_migrate, "bring the database's schema up to date", "--status --wait --json",
     "shoal migrate [--status|--wait] [--json]\n\n"
     "Applies what is missing, in order, each in a transaction, one run at a time fleet-wide. Connects to\n"
     "SHOAL_POSTGRES_DIRECT_URL where that is set. A migration that was changed after it was applied is an error.\n"
     "  --status   only show what is applied and what is not\n"
     "  --wait     apply nothing, and return when all that this version knows is applied, by whomever and however "
     "late\n"},
    {"code", ADMIN, verb_code, "start codes", "list add set remove import export --json",
     "shoal code list [--json]\n"
     "shoal code add CODE --persona KEY [--description T] [--max-uses N] [--expires RFC3339] [--inactive]\n"
     "shoal code set CODE [--persona KEY] [--description T] [--max-uses N|--no-max-uses]\n"
     "                    [--expires RFC3339|--no-expires] [--active|--inactive]\n"
     "shoal code remove CODE [--force]\n"
     "shoal code import FILE\n"
     "shoal code export\n\n"
     "A code is 1 to 64 of A-Z a-z 0-9 _ - and opens a persona by `/start CODE`. One that people came by is removed\n"
     "only by --force, with the count of them; `set CODE --inactive` keeps it.\n"
     "import and export are CSV with the header code,persona,description,max-uses,expires,inactive. An import makes\n"
     "new codes, all of them or none. FILE - is the standard input.\n"
     "Exit code 3 may also mean: done, but Redis could not be told to forget the old state. The message says so.\n"},
    {"persona", ADMIN, verb_persona, "personas", "list add set remove --json",
     "shoal persona list [--json]\n"
     "shoal persona add KEY --name N --greeting T [--prompt T] [--reply T]... [--inactive]\n"
     "shoal persona set KEY [--name N] [--greeting T] [--prompt T] [--reply T]...|[--no-replies]\n"
     "                      [--active|--inactive]\n"
     "shoal persona remove KEY\n\n"
     "The persona `default` greets whoever comes without a code. --reply given to `set` replaces all replies. A\n"
     "persona that codes or chats use is not removed; `set KEY --inactive` switches it off.\n"
     "Exit code 3 may also mean: done, but Redis could not be told to forget the old state. The message says so.\n"},
    {"user", ADMIN, verb_user, "one person's data", "show suspend unsuspend export erase --json --yes --with-money",
     "shoal user show TELEGRAM_ID [--json]\n"
     "shoal user suspend|unsuspend TELEGRAM_ID\n"
     "shoal user export TELEGRAM_ID\n"
     "shoal user erase TELEGRAM_ID [--yes] [--with-money]\n\n"
     "export prints all that is stored about a person as one JSON object. erase removes it: chats, messages, "
     "activity,\n"
     "conversations, names, the link to Telegram, their dead letters. The counts of start codes and the ledger are\n"
     "kept without a name. Refused while they are in an open trade, in which another person's money is, and while\n"
     "they have money, unless --with-money gives it up. It asks first; without a terminal it does nothing unless\n"
     "told --yes.\n"},
    {"wallet", ADMIN, verb_wallet, "money of the escrow bot", "show credit debit --key --json",
     "shoal wallet show TELEGRAM_ID [--json]\n"
     "shoal wallet credit TELEGRAM_ID CURRENCY AMOUNT --key K\n"
     "shoal wallet debit TELEGRAM_ID CURRENCY AMOUNT --key K\n\n"
     "AMOUNT is a decimal number. K names what is booked, such as the id of a payment: the same key again does\n"
     "nothing again, so that a command whose answer was lost can be repeated; with another person, currency or\n"
     "amount it is refused. Only what is available can be debited, not what is held in trades.\n"},
    {"trade", ADMIN, verb_trade, "trades of the escrow bot",
     "list show resolve --status --user --limit --note --undisputed --json",
     "shoal trade list [--status S] [--user TELEGRAM_ID] [--limit N] [--json]\n"
     "shoal trade show PUBLIC_ID [--json]\n"
     "shoal trade resolve PUBLIC_ID release|refund --note T [--undisputed]\n\n"
     "list shows the newest 50 unless told otherwise. show is all that is known of one: its way, its money, what\n"
     "admins did. resolve decides a dispute: release gives the money to the seller, refund gives it back to the\n"
     "buyer; the note is kept in admin_audit, and both are told by the bot. --undisputed decides an active trade, "
     "too.\n"},
    {"ladder", ADMIN, verb_ladder, "players and matches of the ladder",
     "players matches resolve refresh --q --country --region --open --conflict --settled --player --limit --note "
     "--json",
     "shoal ladder players [--q TEXT] [--country C] [--region R] [--limit N] [--json]\n"
     "shoal ladder matches [--open|--conflict|--settled] [--player DISCORD_ID] [--limit N] [--json]\n"
     "shoal ladder resolve MATCH_ID 1|2|draw [--note T]\n"
     "shoal ladder refresh\n\n"
     "players lists them by name; --q is a part of the name, or the id. matches lists the newest first; 50 of either\n"
     "unless told otherwise. resolve says how a match ended on which the two do not agree, or of which they say\n"
     "nothing: 1 or 2 is who has won. It is settled as if both had reported so, both ratings change, both are told, "
     "and\n"
     "admin_audit keeps it with the note. refresh makes the leaderboard anew at once; the fleet does it every "
     "minute.\n"},
    {"status", ADMIN, verb_status, "the whole fleet at a glance", "--watch --json",
     "shoal status [--watch] [--json]\n\n"
     "Which servers answer, what the queue holds, how many updates a second and how long they take, the workers and "
     "what\n"
     "they hold, hit rates of the caches, waits for the flood budget, the fleet's jobs.\n"
     "--watch looks again every second: a page on a terminal (q or Ctrl-C ends it), else a line for each look; with "
     "--json\n"
     "an object a line. A server that is away is shown as such; without --watch the exit code is then 3.\n"},
    {"workers", ADMIN, verb_workers, "who is alive, and what they do", "--json", "shoal workers [--json]\n"},
    {"queue", ADMIN, verb_queue, "the stream", "status peek lanes pause resume --lane --limit --bot --json",
     "shoal queue status [--json]\n"
     "shoal queue peek [--lane L] [--limit N] [--json]\n"
     "shoal queue peek ID [--json]\n"
     "shoal queue lanes [--limit N] [--json]\n"
     "shoal queue pause|resume [--bot BOT] [--json]\n\n"
     "status is how much waits, is in hand, is tried again, and lies in the dead letters. An imbalance above 0 are\n"
     "entries that are nobody's, which the workers read anew; below 0 lanes whose entry is gone.\n"
     "peek lists what is unsettled, oldest first (20 unless told otherwise), or all of one lane in its order, and\n"
     "where each entry stands: in_hand of a worker, due, paused, waiting behind another of its lane, unread, or\n"
     "stray, which is nobody's. With an ID: one entry with its body.\n"
     "lanes lists the busy lanes, those with most waiting first.\n"
     "pause keeps the entries of all bots, or of one, from the workers: they are still accepted, and kept in order.\n"
     "What is in hand is finished. resume lets them go on within half a second.\n"},
    {"dead", ADMIN, verb_dead, "dead letters: updates that could not be handled",
     "list show retry drop --all --bot --limit --oldest --raw --force --yes --json",
     "shoal dead list [--bot BOT] [--limit N] [--oldest] [--json]\n"
     "shoal dead show ID [--raw] [--json]\n"
     "shoal dead retry ID... [--force] [--json]\n"
     "shoal dead retry --all [--bot BOT] [--force] [--json]\n"
     "shoal dead drop ID... [--json]\n"
     "shoal dead drop --all [--bot BOT] [--yes] [--json]\n\n"
     "An ID is SHARD:ID as listed; with one shard the part behind the colon will do. list shows the newest 50 unless\n"
     "told otherwise, or with --oldest the oldest. show is all that is known of one, with its body; --raw is the body\n"
     "alone, byte for byte.\n"
     "retry puts letters back at the end of the stream, once the cause is gone. What was committed before is not\n"
     "committed again. Where that is not certain any more (it may have been committed over two days ago, or the same\n"
     "update came again and was taken) a letter is refused, unless told --force.\n"
     "drop removes letters; their updates are then never handled. --all are those that are there when it begins.\n"},
    {"cache", ADMIN, verb_cache, "what the fleet remembers of start codes, personas, players and static tables",
     "list stats get invalidate reload startcode persona player static --all --dry-run --workers --json",
     "shoal cache list [--json]\n"
     "shoal cache stats [--workers] [--json]\n"
     "shoal cache get CACHE KEY [--json]\n"
     "shoal cache invalidate CACHE KEY... [--dry-run] [--json]\n"
     "shoal cache invalidate CACHE --all [--dry-run] [--json]\n"
     "shoal cache reload CACHE [--json]\n\n"
     "A CACHE is startcode (keys: codes, and #ID of each), persona (ids, and default), player (Discord ids) or static\n"
     "(maps, races, regions, countries). Changes reach the workers by themselves; these verbs are for looking, and "
     "for\n"
     "when that does not suffice.\n"
     "list is what of each lies in Redis. stats is what the workers asked of each layer, since each of them began;\n"
     "--workers has a row for each worker and cache, and whether it may believe its memory now.\n"
     "get is a value in Redis, compared with what PostgreSQL has. One that is not cached: exit code 4, and the value "
     "as\n"
     "PostgreSQL has it.\n"
     "invalidate makes the whole fleet forget. A KEY with * ? [ or \\ is a pattern, to be quoted; any other is "
     "forgotten\n"
     "whether Redis has it or not. reload forgets all and loads it anew. Both return when no worker answers with what\n"
     "was forgotten: within milliseconds, or two seconds where one is silent. --dry-run only counts.\n"},
    {"webhook", ADMIN, verb_webhook, "what the platforms know of the bots",
     "set info delete --bot --commands --force --drop-pending --json",
     "shoal webhook set [--bot BOT] [--commands] [--force] [--json]\n"
     "shoal webhook info [--bot BOT] [--json]\n"
     "shoal webhook delete [--bot BOT] [--drop-pending] [--json]\n\n"
     "set tells Telegram where the gateway is (SHOAL_WEBHOOK_URL/telegram/BOT) with SHOAL_WEBHOOK_SECRET, and gives\n"
     "each bot its commands for the platform's own menu; --commands: these alone. Discord is told where to send\n"
     "interactions (SHOAL_WEBHOOK_URL/discord/BOT), and tries at once whether a gateway is there. One program of the\n"
     "fleet at a time does it, and who comes within five minutes and means the same leaves it (unchanged); --force:\n"
     "does it all the same, for instance where somebody else has changed it meanwhile.\n"
     "info compares what the platforms have with what set would tell them. delete removes webhooks from Telegram,\n"
     "which keeps the updates that wait there unless told --drop-pending, and commands from Discord.\n"},
    {"config", ADMIN, verb_config, "the effective configuration", "--check --json",
     "shoal config [--check] [--json]\n\n"
     "Prints every option as NAME=value, secrets redacted. --check only says whether all values are right.\n"},

    {"help", OTHER, verb_help, "this, or more about one verb", NULL, "shoal help [VERB]\n"},
    {"version", OTHER, verb_version, "print the version", "", "shoal version\n"},
    {"completion", OTHER, verb_completion, "print a completion script for a shell", "bash zsh",
     "shoal completion bash|zsh\n\n"
     "  bash   source <(shoal completion bash)\n"
     "  zsh    shoal completion zsh > _shoal, in a folder of $fpath\n"},
    {0},
};

static const struct verb *find_verb(const char *name)
{
	for (const struct verb *v = verbs; v->name; v++) {
		if (strcmp(v->name, name) == 0)
			return v;
	}
	return NULL;
}

static int unknown_verb(const char *name)
{
	struct arena a;

	arena_init(&a);
	fprintf(stderr, "shoal: there is no verb %s\nTry `shoal help`.\n", shown(&a, name));
	arena_release(&a);
	return EXIT_USAGE;
}

static void print_overview(FILE *to)
{
	fputs("shoal VERB [ARGUMENTS]      Telegram and Discord bots on a fleet of equal workers\n", to);
	for (int s = 0; s < SECTIONS; s++) {
		fprintf(to, "\n%s\n", section_titles[s]);
		for (const struct verb *v = verbs; v->name; v++) {
			if ((int)v->section == s)
				fprintf(to, "  %-12s%s\n", v->name, v->help);
		}
	}
	fputs("\nListings take --json. Configuration is read from the environment: see `shoal config`.\n"
	      "Exit codes: 0 done, 1 failed or refused, 2 wrong usage, 3 a server could not be reached, 4 no such "
	      "thing.\n",
	      to);
}

static int flushed(void)
{
	return fflush(stdout) == 0 ? EXIT_DONE : out_fail(EXIT_FAILED, NULL, "cannot write to stdout");
}

static int help_on(const struct verb *v)
{
	printf("%s: %s\n\n%s", v->name, v->help, v->usage);
	return flushed();
}

/* The verbs of this file take operands only. False after saying what was wrong. */
static bool count_operands(int argc, char **argv, int least, int most, const char *names)
{
	struct args args = {.verb = argv[0]};
	struct arena a;

	if (argc - 1 > most) {
		arena_init(&a);
		args_usage(&args, "%s is too much", shown(&a, argv[most + 1]));
		arena_release(&a);
		return false;
	}
	if (argc - 1 < least) {
		args_usage(&args, "%s missing", names);
		return false;
	}
	return true;
}

static int verb_help(int argc, char **argv)
{
	const struct verb *v;

	if (!count_operands(argc, argv, 0, 1, ""))
		return EXIT_USAGE;
	if (argc == 1) {
		print_overview(stdout);
		return flushed();
	}
	v = find_verb(argv[1]);
	return v ? help_on(v) : unknown_verb(argv[1]);
}

static int verb_version(int argc, char **argv)
{
	if (!count_operands(argc, argv, 0, 0, ""))
		return EXIT_USAGE;
	printf("shoal %s\n", shoal_version);
	return flushed();
}

/* --- completion */

static void print_names(void)
{
	for (const struct verb *v = verbs; v->name; v++)
		printf("%s%s", v == verbs ? "" : " ", v->name);
}

/* A verb whose words are NULL is followed by the verbs. */
static void print_cases(const char *indent, const char *assign)
{
	for (const struct verb *v = verbs; v->name; v++) {
		printf("%s%s) %s", indent, v->name, assign);
		if (v->words)
			fputs(v->words, stdout);
		else
			print_names();
		puts("\" ;;");
	}
}

static void print_bash(void)
{
	puts("_shoal() {\n"
	     "\tlocal words=\"\" cur=\"${COMP_WORDS[COMP_CWORD]}\"\n"
	     "\tif [ \"$COMP_CWORD\" -eq 1 ]; then");
	fputs("\t\twords=\"", stdout);
	print_names();
	puts("\"\n"
	     "\telse\n"
	     "\t\tcase \"${COMP_WORDS[1]}\" in");
	print_cases("\t\t", "words=\"");
	puts("\t\tesac\n"
	     "\tfi\n"
	     "\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
	     "}\n"
	     "complete -o default -F _shoal shoal");
}

static void print_zsh(void)
{
	puts("#compdef shoal\n"
	     "_shoal() {\n"
	     "\tlocal words_of=\"\"\n"
	     "\tlocal -a verbs\n"
	     "\tverbs=(");
	for (const struct verb *v = verbs; v->name; v++) {
		printf("\t\t'%s:", v->name);
		for (const char *p = v->help; *p; p++)
			fputs(*p == '\'' ? "'\\''" : (char[]){*p, '\0'}, stdout);
		puts("'");
	}
	puts("\t)\n"
	     "\tif (( CURRENT == 2 )); then\n"
	     "\t\t_describe 'verb' verbs\n"
	     "\t\treturn\n"
	     "\tfi\n"
	     "\tcase \"${words[2]}\" in");
	print_cases("\t", "words_of=\"");
	puts("\tesac\n"
	     "\tcompadd -- ${=words_of} || _files\n"
	     "}\n"
	     "compdef _shoal shoal");
}

static int verb_completion(int argc, char **argv)
{
	if (!count_operands(argc, argv, 1, 1, "bash or zsh"))
		return EXIT_USAGE;
	if (strcmp(argv[1], "bash") == 0) {
		print_bash();
	} else if (strcmp(argv[1], "zsh") == 0) {
		print_zsh();
	} else {
		struct args args = {.verb = argv[0]};

		return args_usage(&args, "\"%s\" is no shell it knows: bash or zsh", argv[1]);
	}
	return flushed();
}

/* --- main */

/* A closed 0, 1 or 2 would be given to the next socket, and log lines would go there. Who writes to a stdout that is
 * closed hears of it. */
static void fill_standard_files(void)
{
	static const int modes[] = {O_RDONLY, O_RDONLY, O_WRONLY};

	for (int fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", modes[fd]) < 0)
			return;
	}
}

/* Tokens and what people write are in memory and in the environment: no core is left of it, and /proc shows it to root
 * only. (A core that a program takes, as systemd-coredump does, heeds this and no limit.) */
static void keep_to_itself(void)
{
	if (prctl(PR_SET_DUMPABLE, 0) != 0)
		fputs("shoal: warning: cannot turn core dumps off\n", stderr);
}

/* Many systems begin with 1,024 descriptors, of the many more that they allow. */
static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* "shoal --help", "shoal code --help", "shoal code add -h" */
static bool wants_help(int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--") == 0)
			return false;
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	static char version[] = "version";
	const struct verb *v;

	fill_standard_files();
	keep_to_itself();
	raise_descriptors();
	signal(SIGPIPE, SIG_IGN);
	if (argc < 2) {
		print_overview(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0)
		argv[1] = version;
	if (wants_help(1, argv + 1)) {
		print_overview(stdout);
		return flushed();
	}
	v = find_verb(argv[1]);
	if (!v)
		return unknown_verb(argv[1]);
	if (wants_help(argc - 2, argv + 2))
		return help_on(v);
	return v->run(argc - 1, argv + 1);
}
