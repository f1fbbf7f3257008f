package endofturn

var dutch = vocabulary{
	hanging: `en, omdat, dat ik, de, een, mijn, m'n, jouw, je eigen, zijn eigen, onze, hun, als, terwijl, want, tenzij, hoewel, maar
		ik, zodat, zowel, van de, van het, van een, met de, met een, voor de, voor een, naar de, op de, in de, bij de, deze, elke,
		iedere, welke, geen, heel, erg, nadat, voordat, sinds, wanneer ik, ik, zonder, tegen, tussen, tijdens, vanwege, dan de`,
	open: `maar, of, dus, dat, het, uw, ons, die, dit, ook, nog, alleen, ongeveer, bijna, zo'n, waar, toen, en
		dan, of misschien, ik denk dat, ik geloof dat, ik vind, ik wil graag, ik zou graag, ik zoek, niet, er, haar, ten
		eerste, namelijk, bijvoorbeeld, zoals`,
	verbs: `we, wij, hij, ze, is, ben, bent, zijn, was, waren, heb, heeft, hebben, had, hadden, wil, willen, wilde, kan, kunnen, kon, moet, moeten,
		mag, zal, zullen, zou, zouden, word, wordt, worden, zoek, heet, ga, gaat, gaan`,
	prepositions: `aan, bij, door, in, met, na, naar, om, op, over, te, tot, uit, van, vanaf, voor, om te, onder, achter, rond`,
	fillers:      `eh, ehm, uh, uhm, euh, hm eh, nou ja, zeg maar, nou`,
	pauses: `moment, momentje, een moment, een momentje, even kijken, even denken, wacht, wacht even, een ogenblik, ogenblikje,
		ik moet even kijken, laat me even kijken, laat me denken, een seconde, eens kijken`,
	closed: `ja, nee, jawel, oké, oke, ok, goed, prima, klopt, dat klopt, precies, inderdaad, zeker, natuurlijk, graag, ja graag, nee
		hoor, dank je, dank u, dank je wel, dank u wel, dankjewel, bedankt, alsjeblieft, alstublieft, dag, doei, tot ziens, hallo,
		hoi, goedemorgen, goedemiddag, goedenavond, is goed, dat is goed, dat is het, dat is alles, dat was het, dat was alles,
		ik denk het, ik denk het wel, ik denk van niet, ik denk het niet, nog niet, helemaal niet, waarom niet, liever niet, weet
		ik niet, ik weet het niet, ik weet het, dat weet ik niet, kan ik niet, wil ik niet, ik niet, ik ook, wij ook, geen idee,
		geen probleem, maakt niet uit, ik snap het, ik begrijp het, ik heb het, ik wil het, ik doe het, doe het, snap het, begrijp
		het, werkt niet, werkt het niet, doet het niet, lukt niet, gaat niet, wil niet, en u, en jij, tot dan, tot straks, tot
		morgen, ben ik, dat ben ik, heb ik, wil ik, kan ik, moet ik, denk ik, geloof ik, hoop ik, weet ik, vind ik, doe ik, dat
		wil ik, dat heb ik, hoe is het, wat is het, en dat, of niet, toch niet, of zo, nog niet, ook niet, hoe kan dat, hoe werkt
		dat, wat is dat, wat kost dat, wat kost het, kan dat, mag dat, is dat, kost dat, dit ook, dat ook, ga zo door, niet meer`,
	whole: `ik ben, dat is, het is, ik heb, ik wil, ik kan, niet, of, dus, dat, dit, die, wel, hij, zij, wij, mag, kan, we gaan, moet`,
	asks: `wat, waar, wanneer, wie, hoe, waarom, welke, welk, kan, kunt, kun, heeft, hebben, heb, is, zijn, mag, moet, gaat, wil,
		wilt, zou, komt, doet, werkt, kost, staat`,
	clauses: `wat, waar, wie, hoe, waarom, dat, of, als, omdat, wanneer, zodat, hoewel, nadat, voordat, toen, die, welke, alles, heb,
		wil, zal, zou, kan, moet, terwijl`,
	leads:    `als, wanneer, zodra, hoewel, nadat, voordat, zolang, toen`,
	connects: `en, maar, dus, dan, of, want`,
	strands:  true,
	particles: `aan: kom= komt= zet doe= doet= bied neem trek vraag pas raak sluit, op: bel belt= hang neem zoek schiet ruim sta= geef
		los schrijf stuur hou let= pak, in: log schakel lever voer vul stel schrijf stap trek check pak, uit: log zet leg stap
		zoek maak print schakel kies vul ziet= zie=, bij: vul kom leg voeg, door: ga= geef verbind stuur bel werk loop, om: ruil
		draai kleed zet, over: stap ga= maak neem blijf, voor: stel bereid kom= komt= lees, met: waarmee, van: hou, af: hang`,

	units:       `nul één/een twee drie vier vijf zes zeven acht negen`,
	ambiguous:   `een`,
	tens:        `twintig, dertig, veertig, vijftig, zestig, zeventig, tachtig, negentig`,
	teens:       `tien, elf, twaalf, dertien, veertien, vijftien, zestien, zeventien, achttien, negentien`,
	hundreds:    `honderd`,
	compounds:   `-en-, -ën-`,
	double:      `dubbel, dubbele, tweemaal`,
	triple:      `driemaal, drievoudig`,
	joints:      `streepje, en`,
	digits:      `cijfers, cijfer`,
	digitSuffix: `cijferig`,
	phone:       `telefoonnummer, mobiele nummer, mobiel nummer, telefoon nummer, nummer terugbellen`,
	phoneDigits: 10,
	card:        `kaartnummer, creditcardnummer, pasnummer`,
	number: `klantnummer, rekeningnummer, bestelnummer, ordernummer, boekingsnummer, polisnummer, factuurnummer,
		reserveringsnummer, lidnummer, iban, code, bevestigingscode, bsn, referentienummer`,
	postcode:   `postcode`,
	postDigits: 4,
	code3:      `beveiligingscode, cvc`,
	code4:      `pin, pincode`,
	ending:     `eindigt op, eindigend op`,
	email:      `e mail, email, mail, mailadres, website`,
	symbols:    `punt, underscore, streepje, apenstaartje, at`,
	letterFor:  `van`,
}
