package workflows

var ParseEmail = parseEmail
