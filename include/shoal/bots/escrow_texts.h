/* All that the escrow bot says by itself, in each of its languages. HTML, with places for text_fill(). */
#ifndef SHOAL_BOTS_ESCROW_TEXTS_H
#define SHOAL_BOTS_ESCROW_TEXTS_H

enum escrow_lang { ESCROW_EN, ESCROW_DE, ESCROW_LANGS };

enum escrow_text {
	/* screens */
	ESCROW_WELCOME,
	ESCROW_WELCOME_NAMED, /* name */
	ESCROW_MENU,
	ESCROW_HELP,
	ESCROW_WALLET,      /* lines */
	ESCROW_WALLET_LINE, /* available held */
	ESCROW_TRADES,
	ESCROW_NO_TRADES,
	ESCROW_PRIVATE_ONLY,
	ESCROW_SUSPENDED,
	/* notes above a screen */
	ESCROW_UNKNOWN_COMMAND,
	ESCROW_UNKNOWN_LINK,
	ESCROW_NOT_EXPECTED,
	ESCROW_OLD_BUTTON,
	ESCROW_CANCELLED_DIALOGUE,
	ESCROW_LEFT_DIALOGUE,
	/* a new trade */
	ESCROW_ASK_AMOUNT,
	ESCROW_ASK_CURRENCY, /* amount */
	ESCROW_ASK_TERMS,    /* amount */
	ESCROW_REVIEW,       /* amount terms */
	ESCROW_AMOUNT_UNREADABLE,
	ESCROW_AMOUNT_ZERO,
	ESCROW_AMOUNT_TOO_FINE,  /* currency digits */
	ESCROW_AMOUNT_TOO_LARGE, /* most */
	ESCROW_NOT_ENOUGH,       /* available amount */
	ESCROW_NO_SUCH_CURRENCY, /* list */
	ESCROW_TERMS_TOO_LONG,   /* most now */
	ESCROW_TERMS_TEXT_ONLY,
	ESCROW_PLEASE_CONFIRM,
	ESCROW_NOTHING_TO_CONFIRM,
	/* a trade */
	ESCROW_CARD,        /* id status */
	ESCROW_CARD_AMOUNT, /* amount */
	ESCROW_CARD_BUYER,  /* name */
	ESCROW_CARD_SELLER, /* name */
	ESCROW_CARD_YOU,
	ESCROW_CARD_UNTIL, /* time */
	ESCROW_CARD_TERMS, /* terms */
	ESCROW_CARD_LINK,  /* link */
	ESCROW_CARD_CODE,  /* code */
	ESCROW_SOMEBODY,
	ESCROW_PENDING,
	ESCROW_ACTIVE,
	ESCROW_DISPUTED,
	ESCROW_RELEASED,
	ESCROW_REFUNDED,
	ESCROW_CANCELLED,
	ESCROW_EXPIRED,
	/* what was done, to who did it and to the other one */
	ESCROW_DID_HOLD,           /* amount */
	ESCROW_DID_OPEN,           /* - */
	ESCROW_DID_ACCEPT,         /* amount */
	ESCROW_DID_DECLINE,        /* - */
	ESCROW_DID_CANCEL,         /* amount */
	ESCROW_DID_RELEASE,        /* amount */
	ESCROW_DID_REFUND,         /* amount */
	ESCROW_DID_DISPUTE,        /* - */
	ESCROW_TOLD_OPEN,          /* name */
	ESCROW_TOLD_ACCEPT,        /* - */
	ESCROW_TOLD_DECLINE,       /* amount */
	ESCROW_TOLD_CANCEL,        /* - */
	ESCROW_TOLD_RELEASE,       /* amount */
	ESCROW_TOLD_REFUND,        /* amount */
	ESCROW_TOLD_DISPUTE,       /* - */
	ESCROW_TOLD_EXPIRE_BUYER,  /* amount */
	ESCROW_TOLD_EXPIRE_SELLER, /* - */
	ESCROW_TOLD_RESOLVED,      /* - */
	/* why it was not done */
	ESCROW_NOT_YOURS,
	ESCROW_ALREADY, /* status */
	ESCROW_NOT_BY_YOU,
	ESCROW_TOO_LATE,
	ESCROW_FULL,
	ESCROW_OWN_INVITATION,
	ESCROW_TAKEN,
	ESCROW_OVER,
	/* buttons */
	ESCROW_B_MENU,
	ESCROW_B_WALLET,
	ESCROW_B_NEW,
	ESCROW_B_TRADES,
	ESCROW_B_HELP,
	ESCROW_B_CANCEL,
	ESCROW_B_CONFIRM,
	ESCROW_B_ACCEPT,
	ESCROW_B_DECLINE,
	ESCROW_B_RELEASE, /* amount */
	ESCROW_B_REFUND,  /* amount */
	ESCROW_B_DISPUTE,
	ESCROW_B_CANCEL_TRADE,
	ESCROW_B_PASS_ON,
	ESCROW_B_BUYING,  /* icon amount id */
	ESCROW_B_SELLING, /* icon amount id */
	ESCROW_B_NEWER,
	ESCROW_B_OLDER,
	ESCROW_TEXTS
};

const char *escrow_text(enum escrow_lang lang, enum escrow_text text);
/* The one for a person, by their IETF tag ("de-AT"); NULL, and what is not spoken here: English. */
enum escrow_lang escrow_lang_of(const char *language_code);

#endif
