package endofturn

var french = vocabulary{
	hanging: `et, ou, mais, parce que, parce qu', car, que, qu', le, la, les, l', un, une, des, du, de, d', à, au, aux, mon, ma, mes,
		notre, nos, votre, vos, leur, leurs, sa, ses, pour, dans, en, sur, chez, vers, entre, contre, par, sans, sous, quand, si
		je, lorsque, puisque, dont, qui, très, chaque, je, j', je m', il, elle, on, nous avons, c'est, c'est que, est ce que, est
		ce qu', afin de, pour que, plutôt que, ainsi que, ni, quel, quelle, quels, quelles, cette, cet, ces, ne, n', se, s', m',
		me, te, je vous, je te, je me, je l'ai, il y a, quelque, plusieurs, et puis je, je n'ai, pendant, depuis que, dès que, j'ai
		besoin de, j'ai besoin d', y compris, comme un, comme une`,
	open: `donc, alors, si, comme, ce, son, depuis, avec, non, aussi, presque, seulement, puis, ensuite, je voudrais, j'aimerais, je
		veux, je cherche, j'ai besoin, je préfère, autre, autour, jusqu'à, jusque, environ, tout, tous, toutes,
		où, je pense, et puis, ou peut être, enfin, il faut, il faudrait, avant, après, ton, tes, ta, ou alors, par exemple`,
	verbs: `vous, nous, ils, elles, est, suis, es, sont, sommes, êtes, était, étais, serait, ai, as, a, ont, avons, avez, avait, avais, j'ai, j'avais, peux,
		peut, pouvez, pourrait, pourrais, dois, doit, devrais, vais, va, vont, veux, veut, voudrait, voulais, être, avoir, j'étais,
		je vais, m'appelle, s'appelle, fait, faire`,
	prepositions: ``,
	fillers:      `euh, heu, hum, ben, bah, bon ben, eh bien, en fait, du coup, genre, hein euh, enfin bref, comment dire`,
	pauses: `un instant, un moment, une seconde, une minute, attendez, attends, attendez une seconde, attendez un instant, laissez
		moi réfléchir, laissez moi voir, laisse moi voir, je regarde, je cherche mon numéro, voyons, voyons voir, deux secondes,
		deux minutes, je vais regarder, patientez, ne quittez pas`,
	closed: `oui, non, ouais, si si, d'accord, ok, okay, très bien, bien, bien sûr, exact, exactement, tout à fait, c'est ça, voilà,
		parfait, merci, merci beaucoup, merci bien, au revoir, à bientôt, à demain, bonne journée, bonne soirée, bonjour, bonsoir,
		salut, s'il vous plaît, s'il te plaît, c'est tout, ce sera tout, rien d'autre, c'est bon, ça va, ça marche, je crois que
		oui, je crois que non, je pense que oui, je pense que non, je crois, je pense, je ne crois pas, je ne pense pas, je ne sais
		pas, je sais pas, pas encore, pas du tout, pas vraiment, pourquoi pas, pourquoi, et vous, et toi, moi aussi, moi non plus,
		bien entendu, pas de problème, ce n'est pas grave, peu importe, plus tard, comme ça, quoi, c'est quoi, oui je veux, moi
		non, mais non, mais oui, ou non, pour nous, pour vous, avec vous, avec nous, chez vous, chez nous, à vous, à nous, de vous,
		de nous, je veux bien, et nous, c'est tout bon, à tous, merci à tous, c'est où, par où, c'est fait, bien fait, tout à
		fait, avant ça, il est où, elle est où, en tout, pas tout, du tout, c'est à vous, ce qu'il y a, va
		savoir, comment ça va, comment ça va faire, laisse faire, laissez faire, y aller, ça a, ce que je veux`,
	whole: `si, non, avec, tout, tous, toutes, aussi, comment, nous, vous, eux, elles, après, avant, où, je peux, j'ai, je suis, il
		faut, ça va, j'étais, où ça, je veux`,
	asks: `que, quoi, quel, quelle, quels, quelles, comment, où, quand est, quand sont, qui, pourquoi, combien, est, avez, pouvez, puis, peut, qu'est,
		est ce, y, à, peux, c'est`,
	clauses:  `où, comment, qui, quel, quelle, quand, pourquoi, combien, que, ce, quoi, qu'il, qu'elle, dont, comme, tout`,
	leads:    `si, quand, lorsque, dès que, s'il`,
	connects: `et, mais, donc, alors, ou, puis, parce que`,

	units:       `zéro un/une deux trois quatre cinq six sept huit neuf`,
	ambiguous:   `un, une`,
	tens:        `vingt, trente, quarante, cinquante, soixante, septante, huitante, octante, nonante, vingts`,
	teens:       `dix, onze, douze, treize, quatorze, quinze, seize`,
	hundreds:    `cent, cents`,
	scores:      true,
	double:      `double`,
	triple:      `triple`,
	joints:      `et, tiret`,
	digits:      `chiffres, chiffre`,
	phone:       `numéro de téléphone, téléphone, numéro de portable, portable, numéro de mobile`,
	phoneDigits: 10,
	card:        `numéro de carte, numéro de votre carte, carte bancaire, carte bleue`,
	number: `numéro de compte, numéro de client, numéro client, numéro de commande, numéro de dossier, numéro de contrat, numéro de
		réservation, numéro de facture, numéro de référence, référence, iban, code, code de confirmation, numéro de suivi`,
	postcode:   `code postal`,
	postDigits: 5,
	code3:      `cryptogramme, code de sécurité, cvv`,
	code4:      `code pin, pin, code secret`,
	ending:     `se termine par, finit par, terminant par`,
	email:      `email, e mail, mail, courriel, adresse électronique, site web`,
	symbols:    `point, arobase, tiret, tiret du bas, underscore, tiret bas`,
	letterFor:  `comme`,
}
