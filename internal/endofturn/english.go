package endofturn

var english = vocabulary{
	hanging: `and, or, because, cause, 'cause, the, a, an, my, your, our, their, its, if, although, though i, whereas, unless,
		than, i, i'm, i've, i'll, i'd, it's, we're, we've, we'll, they're, they've, they'll, you're, you've, you'll, you'd,
		he's, he'll, he'd, she's, she'll, she'd, we'd, they'd, there's, that's, here's, what's, where's, who's, how's, such
		as, as well as, even if, in case, so that, in order to, as soon as, according to, instead of, because of, kind of a,
		very, every, whose, whether, let's, but i, and i, so i, since i, like a, and then i, nor, gonna, wanna, into,
		going to, want to`,
	open: `but, so, which, what, where, when, who, why, how, me what, me how long, that i, each, his, her, not, until, while, where i, when i, then, also, plus, or
		maybe, i want, i need, i like, i'd like, would like, we need, we want, they want, i have, we have, i'm looking, about a,
		another, no i, actually i, just, only, almost, mean that, is that, said that, think that, hope that, like how, i
		guess i, i said, i was wondering, i was thinking, and that, the other, and maybe, maybe if`,
	verbs: `he, she, we, they, is, are, was, were, am, will, would, can, could, should, shall, may, might, must, has, had, have, do, does, did,
		don't, doesn't, didn't, isn't, aren't, wasn't, can't, couldn't, won't, wouldn't, shouldn't, haven't, hasn't, be,
		been, being`,
	prepositions: `to, of, for, with, at, from, by, in, on, about, between, during, without, within, under, near, towards,
		against, through, since, like, as, per, via, around, after, before, behind, next to, close to`,
	fillers: `um, uh, umm, uhm, erm, er, em, hmm um, uh um, i mean, you know like, it's like, was like, well, so yeah i, ah`,
	pauses: `let me see, let me think, let me check, let me look, let me find it, let me get it, let me grab it, hang on, hold
		on, one moment, one second, just a second, just a moment, just a sec, one sec, give me a second, give me a moment,
		give me a sec, wait, wait a second, wait a minute, hold on a second, hold on a sec, i'm thinking, i'm looking it up`,
	closed: `know why, know how, know what, know where, know when, know who, tell me why, tell me how, so what, say what, you know what,
		no matter what, say when, for what, like what, then what, and you, for who, with who, that's why, that's how, yes, yeah, yep, yup, no, nope, nah, okay, ok, sure, right, correct, exactly, absolutely, definitely, of course,
		thanks, thank you, thanks a lot, thank you very much, thank you so much, bye, goodbye, bye bye, please, hello, hi,
		good morning, good afternoon, good evening, fine, great, perfect, cool, alright, all right, sounds good, that's it,
		that's all, that's right, that's correct, that's fine, that is all, that is it, that will be all, nothing else, mm
		hmm, mhm, uh huh, i think so, i hope so, i guess so, i believe so, i don't think so, i suppose so, so so, or so, why
		not, of course not, not really, not yet, not at all, maybe not, probably not, i guess not, i hope not, certainly
		not, or not, i do not, not sure, log in, sign in, sign on, log on, check in, come in, go on, move on, carry on, turn
		it on, switch it on, turned on, later on, from now on, and so on, i am in, that's what it's for, what for, start
		over, as well, no problem, never mind, got it, go ahead, me too, one more, that one, this one, the first one, the
		second one, or something, and stuff, as usual, if possible, if you can, if you could, if that's okay, if so, if not,
		what if, come back to, long before, day after, the day before, never before, move around, look around, turn around,
		been there before, don't want to, didn't mean to, would love to, i'd love to, i'd like to, if you want to, used to,
		what i'm looking for, i asked for, i paid for, i signed up for, thought about, heard about, talk about, talked
		about, worried about, think about, no idea, is that so, told you so, like that, just like that, but why,
		right then, okay then, you then, back then, until then, by then, since then`,
	whole: `what, where, when, who, why, how, so, but, which, i do, i am, i can, i will, i would, i have, i did, i was, i could, i should, i might, it is, it was, it does, it
		did, it has, we are, we do, we can, we will, we have, we did, he is, he does, she is, she does, they are, they do,
		there is, there are, you can, you may, you are, that is, i don't, i can't, i won't, i haven't, i didn't, i'm not,
		it isn't, it doesn't, it didn't, we don't, we can't, we haven't, you can't, he doesn't, she doesn't, they don't,
		not, do, can do, will do, would be, it can't be, might be, could be, must be, should be, all is, just because, like,
		on, after, before, her, his, either, about now, he, she, they, we`,
	asks: `what, where, when, who, why, how, which, whose, can, could, do, does, did, is, are, was, were, will, would,
		should, may, have, has, what's, where's, who's, how's, when's, isn't, aren't, don't, doesn't, can't`,
	clauses:  `what, where, who, how, whether, why, whatever, wherever, however, all, everything, as, than, which, whoever`,
	leads:    `if, when, while, whenever, once, although, even though, as soon as`,
	connects: `and, but, so, also, then, or, because, now`,
	strands:  true,
	particles: `on: turn= switch= switched turned come= hold log= logged sign= put= going= moving keep= hang= try=, in: log=
		logged sign= signed check= checked come= came put= fill= typed type= let= get= got= move= moved plug= plugged zoom=,
		by: stop= stopped drop= pass= passed come=, around: turn= move= look= walk= hang=, through: put= get= go= going=
		went=, with: deal= live= agree=, about: care= worry= forget= know= knew=, for: pay= wait= ask=, of: heard= think=,
		after: soon= shortly= day=, to: listen= used=, before: ever= called=, behind: fall= left=`,

	units:       `zero/nought one two three four five six seven eight nine`,
	ambiguous:   `oh, o`,
	tens:        `twenty, thirty, forty, fifty, sixty, seventy, eighty, ninety`,
	teens:       `ten, eleven, twelve, thirteen, fourteen, fifteen, sixteen, seventeen, eighteen, nineteen`,
	hundreds:    `hundred`,
	double:      `double`,
	triple:      `triple`,
	joints:      `dash, and`,
	digits:      `digits, digit, numbers of`,
	phone:       `phone number, telephone number, mobile number, cell number, callback number, contact number, phone, mobile, cell`,
	phoneDigits: 10,
	card:        `card number, credit card number, debit card number, long number`,
	number: `account number, customer number, order number, booking number, reference number, policy number, case number,
		member number, membership number, tracking number, confirmation number, confirmation code, invoice number,
		reservation number, routing number, social security number, account, reference, serial number, code`,
	postcode:   `zip code, zip, zipcode`,
	postDigits: 5,
	code3:      `security code, cvv, cvc, area code`,
	code4:      `pin, pin code, pin number`,
	ending:     `ends in, ending in, ends with, ending with`,
	email:      `email, e mail, mail address, website, web address`,
	symbols:    `dot, underscore, hyphen, dash, at, point`,
	letterFor:  `as in, for, like`,
}
