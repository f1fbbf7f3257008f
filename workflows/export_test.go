package workflows

var (
	ParseEmail = parseEmail
	Luhn       = luhn
)

func Issuer(number string) string { return cardNumber(number).issuer() }
