#include "shoal/bots/escrow_texts.h"

#include <stddef.h>

#include "shoal/base/err.h"
#include "shoal/model/decision.h"

static const char *const english[ESCROW_TEXTS] = {
    [ESCROW_WELCOME] = "<b>Welcome!</b>\n\nHere two people trade without having to trust each other: the buyer's money "
                       "is held until the buyer releases it, or the seller gives it back. Where they disagree, an "
                       "admin decides.",
    [ESCROW_WELCOME_NAMED] =
        "<b>Welcome,</b> {name}<b>!</b>\n\nHere two people trade without having to trust each other: the buyer's money "
        "is held until the buyer releases it, or the seller gives it back. Where they disagree, an admin decides.",
    [ESCROW_MENU] = "What would you like to do?",
    [ESCROW_HELP] =
        "<b>How a trade goes</b>\n\n"
        "1. The buyer names amount, currency and terms, and confirms. The money is held.\n"
        "2. The buyer passes the invitation link on. Whoever opens it first is the seller, and accepts or declines "
        "within 24 hours; otherwise the money returns.\n"
        "3. The seller delivers. The buyer releases the money to the seller, or the seller refunds it.\n"
        "4. Either of the two can open a dispute: then the money stays held until an admin decides.\n\n"
        "/menu – the menu\n/wallet – your money\n/new – a new trade\n/trades – your trades\n/cancel – leave a "
        "question unanswered\n/help – this text",
    [ESCROW_WALLET] = "<b>Your wallet</b>\n\n{lines}",
    [ESCROW_WALLET_LINE] = "{available} available, {held} held",
    [ESCROW_TRADES] = "<b>Your trades</b>, newest first:",
    [ESCROW_NO_TRADES] = "<b>Your trades</b>\n\nThere are none yet.",
    [ESCROW_PRIVATE_ONLY] = "Money is a private matter: I only work in private chats. Write to me directly.",
    [ESCROW_SUSPENDED] = "Your account is suspended, so nothing can be done here at the moment. If you think that this "
                         "is a mistake, please contact support.",
    [ESCROW_UNKNOWN_COMMAND] = "I do not know that command. /help shows those that I do.",
    [ESCROW_UNKNOWN_LINK] = "That link does not lead anywhere; perhaps a letter got lost.",
    [ESCROW_NOT_EXPECTED] = "I did not expect a message just now.",
    [ESCROW_OLD_BUTTON] = "That button is from an earlier time. This is how things stand:",
    [ESCROW_CANCELLED_DIALOGUE] = "Nothing was done.",
    [ESCROW_LEFT_DIALOGUE] = "The trade that you had begun to describe is dropped; nothing is held. /new begins anew.",
    [ESCROW_ASK_AMOUNT] =
        "<b>A new trade.</b> You are the buyer.\n\nHow much do you want to pay? Write the amount, with a point where "
        "it needs one: <code>25</code> or <code>25.50</code>.",
    [ESCROW_ASK_CURRENCY] = "In which currency do you want to pay <b>{amount}</b>?",
    [ESCROW_ASK_TERMS] = "<b>{amount}.</b> What are the terms? Write what you get for it, by when and how, so that an "
                         "admin could decide by it.",
    [ESCROW_REVIEW] = "<b>Please check.</b>\n\nAmount: <b>{amount}</b>\nTerms:\n<pre>{terms}</pre>\nWhen you confirm, "
                      "the amount is held, and you get a link for the seller.",
    [ESCROW_AMOUNT_UNREADABLE] =
        "I cannot read that as an amount. Digits only, with one point at most, and behind them the currency if you "
        "like: <code>25</code> or <code>25.50 USD</code>.",
    [ESCROW_AMOUNT_ZERO] = "The amount must be more than nothing.",
    [ESCROW_AMOUNT_TOO_FINE] = "{currency} has {digits} digits behind the point at most.",
    [ESCROW_AMOUNT_TOO_LARGE] = "A trade may be worth {most} at most.",
    [ESCROW_NOT_ENOUGH] = "You have {available} available, which is less than {amount}.",
    [ESCROW_NO_SUCH_CURRENCY] = "Please choose one of {list}.",
    [ESCROW_TERMS_TOO_LONG] = "The terms may have {most} characters; these have {now}. Please say it more shortly.",
    [ESCROW_TERMS_TEXT_ONLY] = "Please answer with text.",
    [ESCROW_PLEASE_CONFIRM] = "Please use the buttons below.",
    [ESCROW_NOTHING_TO_CONFIRM] = "That is not waiting for your confirmation any more.",
    /* cli_user_erase finds by it whose trade was shown */
    [ESCROW_CARD] = "<b>Trade</b> <code>{id}</code>\n{status}\n",
    [ESCROW_CARD_AMOUNT] = "Amount: <b>{amount}</b>",
    [ESCROW_CARD_BUYER] = "Buyer: {name}",
    [ESCROW_CARD_SELLER] = "Seller: {name}",
    [ESCROW_CARD_YOU] = "you",
    [ESCROW_CARD_UNTIL] = "To be accepted before {time}",
    [ESCROW_CARD_TERMS] = "Terms:\n<pre>{terms}</pre>",
    [ESCROW_CARD_LINK] = "Pass this link on to the seller:\n{link}",
    [ESCROW_CARD_CODE] = "Pass this on to the seller, who sends it to this bot:\n<code>{code}</code>",
    [ESCROW_SOMEBODY] = "somebody",
    [ESCROW_PENDING] = "⏳ waiting for the seller",
    [ESCROW_ACTIVE] = "🔒 active: the money is held",
    [ESCROW_DISPUTED] = "⚖️ disputed: an admin will decide",
    [ESCROW_RELEASED] = "✅ released: the seller has the money",
    [ESCROW_REFUNDED] = "↩️ refunded: the buyer has the money back",
    [ESCROW_CANCELLED] = "✖️ cancelled: the buyer has the money back",
    [ESCROW_EXPIRED] = "⌛ expired: the buyer has the money back",
    [ESCROW_DID_HOLD] = "Done. {amount} are held.",
    [ESCROW_DID_OPEN] = "You are invited to a trade as its seller. Please read the terms.",
    [ESCROW_DID_ACCEPT] = "You have accepted. {amount} are held for you until the buyer releases them.",
    [ESCROW_DID_DECLINE] = "You have declined.",
    [ESCROW_DID_CANCEL] = "You have cancelled the trade; {amount} are yours again.",
    [ESCROW_DID_RELEASE] = "You have released {amount} to the seller.",
    [ESCROW_DID_REFUND] = "You have refunded {amount} to the buyer.",
    [ESCROW_DID_DISPUTE] = "You have opened a dispute. The money stays held until an admin decides.",
    [ESCROW_TOLD_OPEN] = "{name} has opened your invitation and can accept it now. If you meant somebody else, cancel "
                         "the trade.",
    [ESCROW_TOLD_ACCEPT] = "The seller has accepted your trade. Release the money once you have what was agreed on.",
    [ESCROW_TOLD_DECLINE] = "Your invitation was declined; {amount} are yours again.",
    [ESCROW_TOLD_CANCEL] = "The buyer has cancelled the trade before you accepted it.",
    [ESCROW_TOLD_RELEASE] = "The buyer has released the money: {amount} are yours.",
    [ESCROW_TOLD_REFUND] = "The seller has refunded you: {amount} are yours again.",
    [ESCROW_TOLD_DISPUTE] =
        "The other side has opened a dispute about your trade. The money stays held until an admin decides.",
    [ESCROW_TOLD_EXPIRE_BUYER] = "Nobody accepted your trade in time; {amount} are yours again.",
    [ESCROW_TOLD_EXPIRE_SELLER] = "The time to accept this trade is over.",
    [ESCROW_TOLD_RESOLVED] = "An admin has decided about your trade.",
    [ESCROW_NOT_YOURS] = "That trade is not yours, or there is none.",
    [ESCROW_ALREADY] = "That was not possible any more. This is how the trade stands:",
    [ESCROW_NOT_BY_YOU] = "That is for the other side to do. This is how the trade stands:",
    [ESCROW_TOO_LATE] = "The time to accept this trade is over.",
    [ESCROW_FULL] =
        "The wallet that the money would go to can hold no more of it, so nothing was done. This is how the "
        "trade stands:",
    [ESCROW_OWN_INVITATION] = "This is your own invitation: pass it on to the seller.",
    [ESCROW_TAKEN] = "Somebody else has opened this invitation before you. Ask the buyer for a new one.",
    [ESCROW_OVER] = "This invitation is over. Ask the buyer for a new one.",
    [ESCROW_B_MENU] = "« Menu",
    [ESCROW_B_WALLET] = "Wallet",
    [ESCROW_B_NEW] = "New trade",
    [ESCROW_B_TRADES] = "My trades",
    [ESCROW_B_HELP] = "Help",
    [ESCROW_B_CANCEL] = "Cancel",
    [ESCROW_B_CONFIRM] = "Confirm",
    [ESCROW_B_ACCEPT] = "Accept",
    [ESCROW_B_DECLINE] = "Decline",
    [ESCROW_B_RELEASE] = "Release {amount} to the seller",
    [ESCROW_B_REFUND] = "Refund {amount} to the buyer",
    [ESCROW_B_DISPUTE] = "Dispute",
    [ESCROW_B_CANCEL_TRADE] = "Cancel the trade",
    [ESCROW_B_PASS_ON] = "Pass the invitation on",
    [ESCROW_B_BUYING] = "{icon} {amount} · you buy · {id}",
    [ESCROW_B_SELLING] = "{icon} {amount} · you sell · {id}",
    [ESCROW_B_NEWER] = "« Newer",
    [ESCROW_B_OLDER] = "Older »",
};

static const char *const german[ESCROW_TEXTS] = {
    [ESCROW_WELCOME] =
        "<b>Willkommen!</b>\n\nHier handeln zwei, ohne einander vertrauen zu müssen: Das Geld der Käuferseite wird "
        "verwahrt, bis sie es freigibt oder die Verkäuferseite es zurückgibt. Sind sich beide nicht einig, entscheidet "
        "die Leitung.",
    [ESCROW_WELCOME_NAMED] =
        "<b>Willkommen,</b> {name}<b>!</b>\n\nHier handeln zwei, ohne einander vertrauen zu müssen: Das Geld der "
        "Käuferseite wird verwahrt, bis sie es freigibt oder die Verkäuferseite es zurückgibt. Sind sich beide nicht "
        "einig, entscheidet die Leitung.",
    [ESCROW_MENU] = "Was möchtest du tun?",
    [ESCROW_HELP] =
        "<b>So läuft ein Handel</b>\n\n"
        "1. Wer kauft, nennt Betrag, Währung und Bedingungen und bestätigt. Das Geld wird verwahrt.\n"
        "2. Wer kauft, gibt den Einladungslink weiter. Wer ihn zuerst öffnet, verkauft, und nimmt innerhalb von 24 "
        "Stunden an oder lehnt ab; sonst geht das Geld zurück.\n"
        "3. Die Ware wird geliefert. Die Käuferseite gibt das Geld frei, oder die Verkäuferseite erstattet es.\n"
        "4. Beide können den Handel beanstanden: Dann bleibt das Geld verwahrt, bis die Leitung entscheidet.\n\n"
        "/menu – das Menü\n/wallet – dein Geld\n/new – ein neuer Handel\n/trades – deine Geschäfte\n/cancel – eine "
        "Frage unbeantwortet lassen\n/help – dieser Text",
    [ESCROW_WALLET] = "<b>Dein Geld</b>\n\n{lines}",
    [ESCROW_WALLET_LINE] = "{available} verfügbar, {held} verwahrt",
    [ESCROW_TRADES] = "<b>Deine Geschäfte</b>, die neuesten zuerst:",
    [ESCROW_NO_TRADES] = "<b>Deine Geschäfte</b>\n\nEs gibt noch keine.",
    [ESCROW_PRIVATE_ONLY] = "Geld ist Privatsache: Ich arbeite nur in privaten Chats. Schreib mir direkt.",
    [ESCROW_SUSPENDED] = "Dein Konto ist gesperrt, hier ist im Moment nichts möglich. Wenn du das für einen Irrtum "
                         "hältst, wende dich bitte an den Support.",
    [ESCROW_UNKNOWN_COMMAND] = "Diesen Befehl kenne ich nicht. /help zeigt die, die ich kenne.",
    [ESCROW_UNKNOWN_LINK] = "Dieser Link führt nirgendwohin; vielleicht ist ein Buchstabe verloren gegangen.",
    [ESCROW_NOT_EXPECTED] = "Gerade habe ich keine Nachricht erwartet.",
    [ESCROW_OLD_BUTTON] = "Dieser Knopf ist von früher. So steht es jetzt:",
    [ESCROW_CANCELLED_DIALOGUE] = "Es ist nichts geschehen.",
    [ESCROW_LEFT_DIALOGUE] = "Der angefangene Handel ist verworfen; nichts ist verwahrt. /new beginnt von vorn.",
    [ESCROW_ASK_AMOUNT] =
        "<b>Ein neuer Handel.</b> Du kaufst.\n\nWie viel möchtest du bezahlen? Schreib den Betrag, wenn nötig mit "
        "einem Punkt: <code>25</code> oder <code>25.50</code>.",
    [ESCROW_ASK_CURRENCY] = "In welcher Währung möchtest du <b>{amount}</b> bezahlen?",
    [ESCROW_ASK_TERMS] = "<b>{amount}.</b> Was sind die Bedingungen? Schreib, was du dafür bekommst, bis wann und wie, "
                         "so dass die Leitung danach entscheiden könnte.",
    [ESCROW_REVIEW] = "<b>Bitte prüfen.</b>\n\nBetrag: <b>{amount}</b>\nBedingungen:\n<pre>{terms}</pre>\nWenn du "
                      "bestätigst, wird der Betrag verwahrt, und du bekommst einen Link für die Verkäuferseite.",
    [ESCROW_AMOUNT_UNREADABLE] =
        "Das kann ich nicht als Betrag lesen. Nur Ziffern und höchstens ein Punkt, dahinter gern die Währung: "
        "<code>25</code> oder <code>25.50 USD</code>.",
    [ESCROW_AMOUNT_ZERO] = "Der Betrag muss mehr als nichts sein.",
    [ESCROW_AMOUNT_TOO_FINE] = "{currency} hat höchstens {digits} Stellen hinter dem Punkt.",
    [ESCROW_AMOUNT_TOO_LARGE] = "Ein Handel darf höchstens {most} wert sein.",
    [ESCROW_NOT_ENOUGH] = "Du hast {available} verfügbar, das ist weniger als {amount}.",
    [ESCROW_NO_SUCH_CURRENCY] = "Bitte wähle eine von {list}.",
    [ESCROW_TERMS_TOO_LONG] = "Die Bedingungen dürfen {most} Zeichen haben; diese haben {now}. Bitte fasse dich "
                              "kürzer.",
    [ESCROW_TERMS_TEXT_ONLY] = "Bitte antworte mit Text.",
    [ESCROW_PLEASE_CONFIRM] = "Bitte benutze die Knöpfe.",
    [ESCROW_NOTHING_TO_CONFIRM] = "Das wartet nicht mehr auf deine Bestätigung.",
    [ESCROW_CARD] = "<b>Handel</b> <code>{id}</code>\n{status}\n",
    [ESCROW_CARD_AMOUNT] = "Betrag: <b>{amount}</b>",
    [ESCROW_CARD_BUYER] = "Es kauft: {name}",
    [ESCROW_CARD_SELLER] = "Es verkauft: {name}",
    [ESCROW_CARD_YOU] = "du",
    [ESCROW_CARD_UNTIL] = "Anzunehmen vor {time}",
    [ESCROW_CARD_TERMS] = "Bedingungen:\n<pre>{terms}</pre>",
    [ESCROW_CARD_LINK] = "Gib diesen Link an die Verkäuferseite weiter:\n{link}",
    [ESCROW_CARD_CODE] = "Gib dies an die Verkäuferseite weiter, die es an diesen Bot schickt:\n<code>{code}</code>",
    [ESCROW_SOMEBODY] = "jemand",
    [ESCROW_PENDING] = "⏳ wartet auf die Verkäuferseite",
    [ESCROW_ACTIVE] = "🔒 läuft: das Geld ist verwahrt",
    [ESCROW_DISPUTED] = "⚖️ beanstandet: die Leitung wird entscheiden",
    [ESCROW_RELEASED] = "✅ freigegeben: die Verkäuferseite hat das Geld",
    [ESCROW_REFUNDED] = "↩️ erstattet: die Käuferseite hat das Geld zurück",
    [ESCROW_CANCELLED] = "✖️ abgebrochen: die Käuferseite hat das Geld zurück",
    [ESCROW_EXPIRED] = "⌛ abgelaufen: die Käuferseite hat das Geld zurück",
    [ESCROW_DID_HOLD] = "Erledigt. {amount} sind verwahrt.",
    [ESCROW_DID_OPEN] = "Du bist zu einem Handel eingeladen und verkaufst. Bitte lies die Bedingungen.",
    [ESCROW_DID_ACCEPT] = "Du hast angenommen. {amount} sind für dich verwahrt, bis die Käuferseite sie freigibt.",
    [ESCROW_DID_DECLINE] = "Du hast abgelehnt.",
    [ESCROW_DID_CANCEL] = "Du hast den Handel abgebrochen; {amount} gehören wieder dir.",
    [ESCROW_DID_RELEASE] = "Du hast {amount} freigegeben.",
    [ESCROW_DID_REFUND] = "Du hast {amount} erstattet.",
    [ESCROW_DID_DISPUTE] = "Du hast den Handel beanstandet. Das Geld bleibt verwahrt, bis die Leitung entscheidet.",
    [ESCROW_TOLD_OPEN] = "{name} hat deine Einladung geöffnet und kann sie jetzt annehmen. Wenn du jemand anderen "
                         "meintest, brich den Handel ab.",
    [ESCROW_TOLD_ACCEPT] = "Dein Handel ist angenommen. Gib das Geld frei, sobald du hast, was vereinbart war.",
    [ESCROW_TOLD_DECLINE] = "Deine Einladung wurde abgelehnt; {amount} gehören wieder dir.",
    [ESCROW_TOLD_CANCEL] = "Die Käuferseite hat den Handel abgebrochen, bevor du ihn angenommen hast.",
    [ESCROW_TOLD_RELEASE] = "Die Käuferseite hat das Geld freigegeben: {amount} gehören dir.",
    [ESCROW_TOLD_REFUND] = "Die Verkäuferseite hat erstattet: {amount} gehören wieder dir.",
    [ESCROW_TOLD_DISPUTE] =
        "Die andere Seite hat euren Handel beanstandet. Das Geld bleibt verwahrt, bis die Leitung entscheidet.",
    [ESCROW_TOLD_EXPIRE_BUYER] = "Niemand hat deinen Handel rechtzeitig angenommen; {amount} gehören wieder dir.",
    [ESCROW_TOLD_EXPIRE_SELLER] = "Die Zeit, diesen Handel anzunehmen, ist vorbei.",
    [ESCROW_TOLD_RESOLVED] = "Die Leitung hat über euren Handel entschieden.",
    [ESCROW_NOT_YOURS] = "Das ist nicht dein Handel, oder es gibt ihn nicht.",
    [ESCROW_ALREADY] = "Das war nicht mehr möglich. So steht der Handel:",
    [ESCROW_NOT_BY_YOU] = "Das kann nur die andere Seite tun. So steht der Handel:",
    [ESCROW_TOO_LATE] = "Die Zeit, diesen Handel anzunehmen, ist vorbei.",
    [ESCROW_FULL] =
        "Wer das Geld bekäme, kann davon nicht noch mehr haben; es ist nichts geschehen. So steht der Handel:",
    [ESCROW_OWN_INVITATION] = "Das ist deine eigene Einladung: Gib sie an die Verkäuferseite weiter.",
    [ESCROW_TAKEN] = "Jemand anderes hat diese Einladung vor dir geöffnet. Bitte um eine neue.",
    [ESCROW_OVER] = "Diese Einladung gilt nicht mehr. Bitte um eine neue.",
    [ESCROW_B_MENU] = "« Menü",
    [ESCROW_B_WALLET] = "Mein Geld",
    [ESCROW_B_NEW] = "Neuer Handel",
    [ESCROW_B_TRADES] = "Meine Geschäfte",
    [ESCROW_B_HELP] = "Hilfe",
    [ESCROW_B_CANCEL] = "Abbrechen",
    [ESCROW_B_CONFIRM] = "Bestätigen",
    [ESCROW_B_ACCEPT] = "Annehmen",
    [ESCROW_B_DECLINE] = "Ablehnen",
    [ESCROW_B_RELEASE] = "{amount} freigeben",
    [ESCROW_B_REFUND] = "{amount} erstatten",
    [ESCROW_B_DISPUTE] = "Beanstanden",
    [ESCROW_B_CANCEL_TRADE] = "Handel abbrechen",
    [ESCROW_B_PASS_ON] = "Einladung weitergeben",
    [ESCROW_B_BUYING] = "{icon} {amount} · du kaufst · {id}",
    [ESCROW_B_SELLING] = "{icon} {amount} · du verkaufst · {id}",
    [ESCROW_B_NEWER] = "« Neuere",
    [ESCROW_B_OLDER] = "Ältere »",
};

static const struct {
	const char *tag;
	const char *const *texts;
} languages[ESCROW_LANGS] = {[ESCROW_EN] = {"en", english}, [ESCROW_DE] = {"de", german}};

const char *escrow_text(enum escrow_lang lang, enum escrow_text text)
{
	ENSURE((unsigned)lang < ESCROW_LANGS && (unsigned)text < ESCROW_TEXTS);
	return languages[lang].texts[text];
}

enum escrow_lang escrow_lang_of(const char *language_code)
{
	for (int i = 0; i < ESCROW_LANGS; i++) {
		if (text_is_language(language_code, languages[i].tag))
			return (enum escrow_lang)i;
	}
	return ESCROW_EN;
}
