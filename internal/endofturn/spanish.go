package endofturn

var spanish = vocabulary{
	hanging: `y, e, o, u, pero, porque, que, el, la, los, las, un, una, unos, unas, mi, mis, su, sus, nuestro, nuestra, nuestros,
		nuestras, del, al, de, a, en, con, por, para, sin, desde, hasta, hacia, entre, contra, cuando, si yo, aunque, mientras,
		pues yo, ni, muy, cada, cuyo, yo, y yo quiero, sino, a menos que, como que, o sea que, según, durante, mediante, más de,
		sobre el, sobre la, lo que, lo, me, te, se, le, les, nos, es que, ya que, así que, para que`,
	open: `entonces, como, si, tu, tus, sobre, este, esta, ese, esa, estos, estas, aquel, no, también, además, casi, sólo, solo,
		ellos, ella, él, nosotros, quiero, necesito, busco, me gustaría, quisiera, cual, donde, creo que no, otro, otra, algún,
		alguna, ningún, bastante, unos cuantos, o tal vez, y también, y luego`,
	verbs: `es, soy, son, era, está, estoy, están, estaba, fue, tengo, tiene, tienen, tenía, he, ha, han, había, voy, va, vamos,
		van, puedo, puede, podría, podrían, debo, debe, hay, quería, quiere, ser, estar, haber, voy a, va a, tengo que, llamo, sería`,
	prepositions: `ante, bajo, tras`,
	fillers:      `eh, em, ehm, este, pues, o sea, mmm, eeh, ehh, bueno pues, bueno este, a ver este, es decir, digamos`,
	pauses: `un momento, un segundo, momento, espere, espera, espere un momento, espera un momento, déjame ver, déjeme ver, déjame
		pensar, déjeme pensar, a ver, vamos a ver, un momentito, deme un segundo, dame un segundo, permítame, ahora miro, deje que
		mire, lo estoy buscando`,
	closed: `sí, claro, vale, bien, bueno, correcto, exacto, exactamente, perfecto, de acuerdo, por supuesto, desde luego, okay, ok,
		gracias, muchas gracias, adiós, hasta luego, hasta mañana, chao, chau, por favor, hola, buenos días, buenas tardes,
		buenas noches, eso es, eso es todo, nada más, así es, es todo, está bien, creo que sí, creo que no, me parece que sí,
		espero que sí, espero que no, claro que sí, claro que no, todavía no, aún no, ahora no, ya no, que no, que sí, no lo
		sé, no sé, por qué, para qué, con qué, de qué, en qué, a qué, qué es, qué hay, y tú, y usted, yo también, yo tampoco,
		yo no, tampoco, también yo, soy yo, o no, no es, cómo es, no quiero, no puedo, no tengo, mejor no, pues sí, pues no,
		y ya, y punto, como no, cómo no, está, ahí está, ya está, que va, sin él, con ella, con él, para él, para ella, a mí
		también, a mí, ahora mismo, ya voy, allá voy, conmigo, y eso, o algo así, no hay, no importa, quién es, dónde está, así
		sobre eso, ya lo tengo, el este, al este, como este, como esta, en este, quiero este, quiero esta, quiero ese, prefiero
		este, ese no, este no, uno solo, una sola, yo solo, quién soy`,
	whole: `si, no, solo, sobre todo, es, son, soy, puedo, puede, tengo, hay, va, vamos, también, entonces qué, quiero, ese,
		esta, esa, ella, él, nosotros, yo, voy, para mí, él y yo`,
	asks: `qué, que, cuál, cual, cuánto, cuánta, cuántos, cómo, dónde, cuándo, quién, por, puede, puedo, podría, hay, tiene, tienen,
		es, está, me, puedes, se, a, en, de`,
	clauses:  `qué, cuál, cuáles, cómo, dónde, quién, cuánto, cuántos, que, como, donde, sé, todo, por`,
	leads:    `si, cuando, aunque, mientras`,
	connects: `y, pero, entonces, pues, o, es que`,

	units:       `cero uno/ún dos/dós tres/trés cuatro cinco seis/séis siete ocho nueve`,
	ambiguous:   `un, una`,
	tens:        `veinte, treinta, cuarenta, cincuenta, sesenta, setenta, ochenta, noventa`,
	teens:       `diez, once, doce, trece, catorce, quince, dieciséis, diecisiete, dieciocho, diecinueve`,
	hundreds:    `cien, cientos, ciento`,
	compounds:   `veinti-, dieci-`,
	double:      `doble`,
	triple:      `triple`,
	joints:      `y, guión, guion`,
	digits:      `dígitos, digitos, cifras, números de`,
	phone:       `número de teléfono, teléfono, móvil, celular, número de contacto`,
	phoneDigits: 9,
	card:        `número de tarjeta, número de la tarjeta, tarjeta de crédito`,
	number: `número de cuenta, número de cliente, número de pedido, número de reserva, número de póliza, número de factura,
		número de referencia, número de socio, localizador, iban, código, dni, número de expediente, número de orden`,
	postcode:   `código postal`,
	postDigits: 5,
	code3:      `código de seguridad, cvv, cvc`,
	code4:      `pin, clave`,
	ending:     `termina en, acaba en, terminada en, que termina en`,
	email:      `correo, email, e mail, correo electrónico, página web`,
	symbols:    `punto, arroba, guión bajo, guion bajo, guión, guion, barra`,
	letterFor:  `de, como`,
}
