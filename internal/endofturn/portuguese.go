package endofturn

var portuguese = vocabulary{
	hanging: `e, ou, mas, porque, que, o, a, os, as, um, uma, uns, umas, meu, minha, meus, minhas, nosso, nossa, nossos, nossas, de, do,
		da, dos, das, em, no, na, nos, nas, ao, à, aos, às, pelo, pela, por, para, pra, pro, com, sem, até, entre, contra, desde,
		quando, embora, enquanto, nem, muito mais, cada, eu, cujo, num, numa, dum, duma, para o, para a, se eu, por causa de, antes
		de, depois de, em vez de, mais de, lo, me, te, lhe, qualquer, conforme, durante, já que, para que, mas eu, e eu`,
	open: `então, como, se, seu, sua, seus, suas, teu, tua, sobre, este, esta, esse, essa, aquele, aquela, não, também, ainda, quase,
		só, apenas, ele, ela, eles, elas, nós, quero, preciso, gostaria, eu queria, procuro, preciso de, onde, após, outro, outra,
		algum, alguma, nenhum, e depois, ou talvez, além disso, cerca, aproximadamente, acho, tão, bem`,
	verbs: `é, sou, são, era, eram, está, estou, estão, estava, foi, tenho, tem, têm, tinha, há, vou, vai, vamos, vão, posso, pode,
		poderia, podia, devo, deve, queria, quer, ser, estar, ter, seria, chamo, me chamo, fica, tive, vou te, tenho que, fui`,
	prepositions: `sob, perante, ante`,
	fillers: `hum, hã, ahn, ãh, eh, é que, quer dizer, tipo, tipo assim, pois é que, sei lá, ahm, hm, ora bem, bem e, pronto e,
		digamos, assim ó, éé`,
	pauses: `um momento, um segundo, um instante, só um momento, só um segundo, só um minuto, um minuto, espera, espere, espera aí,
		peraí, deixa eu ver, deixe-me ver, deixe me ver, deixa eu pensar, deixe me pensar, deixa ver, vamos ver, calma, um
		momentinho, só um instante, vou ver, já vejo, aguarde`,
	closed: `sim, não, claro, certo, correto, isso, isso mesmo, exato, exatamente, perfeito, tá, tá bom, está bem, está bom, tudo bem,
		ok, okay, beleza, combinado, com certeza, obrigado, obrigada, muito obrigado, muito obrigada, tchau, adeus, até logo, até
		amanhã, até mais, por favor, se faz favor, olá, oi, alô, bom dia, boa tarde, boa noite, é isso, é só isso, só isso, mais
		nada, é tudo, acho que sim, acho que não, creio que sim, creio que não, espero que sim, espero que não, ainda não, agora
		não, já não, não sei, eu não sei, não quero, não posso, não tenho, por que, por quê, para quê, o quê, porquê, e você, e o
		senhor, e a senhora, eu também, eu também não, também não, claro que sim, claro que não, que não, que sim, não é, né, sou
		eu, ou não, eu sei, quem é, o que é, como é, onde é, onde está, quanto é, pois é, pois não, sem problema, não importa, nada
		disso, como assim, está sim, é sim, tem sim, sim é, já está, já vou, não há, não tem, muito bem, também, com ele, com ela, para
		ele, para ela, dele, dela, com nós, para nós, ela não, ele não, quero este, quero esse, quero esta, quero essa, prefiro este,
		prefiro esse, eu quero, vamos lá, que pena, se possível, se puder, ainda bem, eu acho, não acho, mais ou menos, e só, é só,
		o que eu quero, um só, uma só, assim como, tudo bem com você, tão bem, todo bem, bem sim, e aí, é ele, é ela`,
	whole: `é, se, sou, tenho, tem, posso, pode, vou, vai, vamos, há, só, quero, ainda, este, esse, esta, essa, ele, ela, eles, nós, bem, são,
		está, estou, foi, eu, pode ser`,
	asks: `que, qual, quais, quanto, quanta, quantos, como, onde, quando, quem, por, o, pode, posso, poderia, tem, há, é, está, você,
		vocês, será, a, em, de`,
	clauses:  `qual, quais, como, onde, quem, quanto, que, sei, tudo, porque`,
	leads:    `se, quando, embora, enquanto, assim que, caso`,
	connects: `e, mas, então, ou, porque`,

	units:       `zero um/uma dois/duas três quatro cinco seis/meia sete oito nove`,
	ambiguous:   `um, uma`,
	tens:        `vinte, trinta, quarenta, cinquenta, sessenta, setenta, oitenta, noventa`,
	teens:       `dez, onze, doze, treze, catorze, quatorze, quinze, dezesseis, dezasseis, dezessete, dezassete, dezoito, dezenove, dezanove`,
	hundreds:    `cem, cento`,
	double:      `duplo, duplos`,
	triple:      `triplo`,
	joints:      `e, traço, hífen`,
	digits:      `dígitos, digitos, algarismos, números do`,
	phone:       `número de telefone, telefone, celular, telemóvel, número do celular, número de telemóvel, número de contato`,
	phoneDigits: 9,
	card:        `número do cartão, número de cartão, cartão de crédito`,
	number: `número da conta, número de conta, número de cliente, número do pedido, número de encomenda, número da reserva, número de
		reserva, número do protocolo, protocolo, código, nif, cpf, número do contrato, iban, número da apólice, número da fatura`,
	postcode:   `código postal, cep`,
	postDigits: 7,
	code3:      `código de segurança, cvv, cvc`,
	code4:      `pin, senha`,
	ending:     `termina em, terminado em, que termina em, final do cartão`,
	email:      `email, e mail, correio eletrónico, endereço eletrônico, site`,
	symbols:    `ponto, arroba, traço, sublinhado, underline, hífen, underscore`,
	letterFor:  `de, como`,
}
