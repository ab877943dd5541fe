// Package e2e drives the staged program from outside: the built handler under
// the local host, behind a fake Lambda runtime, and as a plain process. It has
// tests alone.
package e2e
