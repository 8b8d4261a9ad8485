package network

// Libraries is libraries, for tests.
var Libraries = libraries
