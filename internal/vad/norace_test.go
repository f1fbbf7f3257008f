//go:build !race

package vad

const longStream = 3600
