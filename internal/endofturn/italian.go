package endofturn

var italian = vocabulary{
	hanging: `e, ed, o, ma, perché io, che, il, lo, la, i, gli, le, l', un, un', uno, una, mio, mia, miei, mie, nostro, nostra, nostri,
		nostre, di, d', a, ad, da, in, con, per, tra, fra, del, dello, della, dei, degli, delle, dell', al, allo, alla, ai, agli,
		alle, all', dal, dalla, dai, dagli, dalle, dall', nel, nello, nella, nei, nelle, nell', sul, sullo, sulla, sui, sulle,
		sull', quando, mentre, oppure, siccome, poiché, affinché, se io, molto più, ogni, qualche, io, cui, anche se, né, mi, ti,
		si, ci, vi, ne, c'è, cioè che, senza, verso, durante, secondo, prima di, dopo di, invece di, più di, il mio, la mia, quei,
		quegli, quest', quell', però io, così che, visto che, dato che, ho bisogno di`,
	open: `però, quindi, allora, se, come, suo, sua, suoi, sue, tuo, tua, su, non, anche, ancora, quasi, solo, soltanto, lui, lei,
		noi, loro, voglio, vorrei, cerco, ho bisogno, mi serve, mi piacerebbe, questo, questa, quel, quella, quello, perché, circa,
		dove, sopra, sotto, contro, dopo, prima, poi, e poi, e anche, altro, altra, un altro, un'altra, molto, qualsiasi, penso,
		magari, dunque, inoltre, un po' di, quelle, questi, queste, nessun, alcuni, alcune`,
	verbs: `è, sono, sei, siamo, era, ero, erano, ho, ha, hai, hanno, abbiamo, aveva, avevo, posso, può, potrei, potrebbe, devo, deve,
		dovrei, voleva, volevo, vuole, sto, sta, vado, va, essere, avere, sarebbe, chiamo, mi chiamo, fa, stavo, potete`,
	prepositions: ``,
	fillers:      `eh, ehm, uhm, cioè, allora eh, insomma, diciamo, tipo, mmm, boh eh, come dire, ecco allora, be', beh`,
	pauses: `un attimo, un momento, un secondo, attimo, aspetti, aspetta, aspetti un attimo, aspetta un attimo, mi faccia pensare, mi
		faccia vedere, fammi vedere, fammi pensare, vediamo, mi lasci controllare, un attimino, un minuto, adesso guardo, guardo
		subito, ci penso un attimo`,
	closed: `sì, no, certo, certamente, ok, okay, va bene, bene, esatto, esattamente, giusto, perfetto, d'accordo, ovviamente,
		assolutamente, grazie, grazie mille, molte grazie, arrivederci, ciao, a presto, a domani, per favore, per piacere, prego,
		pronto, buongiorno, buonasera, salve, è tutto, basta così, nient'altro, niente altro, è così, credo di sì, credo di no, penso
		di sì, penso di no, spero di sì, spero di no, direi di sì, direi di no, di sì, di no, non lo so, non so, lo so, non ancora,
		per niente, perché no, e lei, e tu, e voi, anch'io, anche io, anche a me, neanch'io, non è, non voglio, non posso, meglio
		di no, di più, tutto qui, ecco, fa niente, non importa, non fa niente, nessun problema, che cos'è, cos'è, com'è, dov'è, chi
		è, quanto è, sono io, io no, io sì, così, o no, vero, no grazie, sì grazie, se possibile, se può, se posso, come sta, come va,
		quello sì, questo qui, con lui, con lei, per lui, per lei, a lei, a lui, con noi, per noi, da noi, a noi, con loro, per
		loro, vorrei questo, voglio questo, voglio quello, prendo questo, prendo quello, prima o poi, molto meglio, mai prima, come
		prima, subito dopo, il giorno dopo, non ancora, mi piace molto, il giorno prima, come mai, non ce l'ho, ce l'ho, non ci sono,
		ci sono, lo faccio io, pago io, tutto a posto, o altro, e altro, ed altro, a tutto, anche no, anche lui, anche lei, anche
		noi, ora no, grazie a lei, a voi`,
	whole: `se, anche, dopo, prima, poi, solo, sono, è, ho, posso, può, va, devo, perché, questo, questa, quello, quella, lui, lei,
		noi, loro, tutto, un po', altro, molto, io`,
	asks: `che, cosa, chi, come, dove, quando, quanto, quanti, quale, quali, perché, può, posso, potrebbe, è, ha, avete, c'è, ci, quanta,
		cos'è, com'è, dov'è, a, di`,
	clauses:  `cosa, chi, come, dove, quanto, quale, che, perché, quanti, tutto, dov'è`,
	leads:    `se, quando, mentre, appena, non appena, siccome`,
	connects: `e, ma, allora, quindi, però, o`,

	units:       `zero uno due tre/tré quattro cinque sei sette otto nove`,
	ambiguous:   `un, una`,
	tens:        `venti, trenta, quaranta, cinquanta, sessanta, settanta, ottanta, novanta`,
	teens:       `dieci, undici, dodici, tredici, quattordici, quindici, sedici, diciassette, diciotto, diciannove`,
	hundreds:    `cento`,
	compounds:   `vent-, trent-, quarant-, cinquant-, sessant-, settant-, ottant-, novant-`,
	double:      `doppio, doppia`,
	triple:      `triplo, tripla`,
	joints:      `e, trattino`,
	digits:      `cifre, cifra, numeri del`,
	phone:       `numero di telefono, telefono, cellulare, numero di cellulare, recapito`,
	phoneDigits: 9,
	card:        `numero di carta, numero della carta, carta di credito, numero della sua carta`,
	number: `numero di conto, numero cliente, codice cliente, numero d'ordine, numero ordine, numero di ordine, numero di
		prenotazione, numero di polizza, numero di pratica, numero di fattura, numero di riferimento, iban, codice, matricola`,
	postcode:   `cap, codice postale`,
	postDigits: 5,
	code3:      `codice di sicurezza, cvv, cvc`,
	code4:      `pin, codice pin`,
	ending:     `finisce con, finisce per, che finisce con, termina con`,
	email:      `email, e mail, mail, posta elettronica, sito`,
	symbols:    `punto, chiocciola, trattino, trattino basso, underscore`,
	letterFor:  `come, di`,
}
