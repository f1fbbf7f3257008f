package console

// Shop is a program for tests.
var Shop = shop
