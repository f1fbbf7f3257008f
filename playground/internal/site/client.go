package site

import (
	"os"
	"path/filepath"
)

// livekit-client is not in this repository. The version here is that of package-lock.json.
const (
	ClientVersion = "2.23.0"
	// ClientCDN is where the page loads it from, if it was not installed.
	ClientCDN = "https://cdn.jsdelivr.net/npm/livekit-client@" + ClientVersion + "/" + clientFile
	// ClientIntegrity is the hash of that file.
	ClientIntegrity = "sha384-HkA7rQNo8H04l1p4zoXX1Cy+h9YoYp8LvKt4vfMFhv4KFk07UkrNwIUnyBum8Pw6"

	clientFile = "dist/livekit-client.umd.js"
)

// InstalledClient returns the file that npm has put into a directory of modules, or "".
func InstalledClient(modules string) string {
	file := filepath.Join(modules, "livekit-client", filepath.FromSlash(clientFile))
	if _, err := os.Stat(file); err != nil {
		return ""
	}
	return file
}
