// Command writer uses a store without a pause and notes all that it sees, as a
// history for package test/e2e/history. It runs as a pod while test/e2e breaks
// things around it.
//
// A few workers write and read for themselves, each over its own connection.
// They write keys that only they know, to show whether anything acknowledged is
// lost, and keys that all of them share, to show whether reads and writes have
// one order. No request is sent twice. Port 8080 tells how it goes:
//
//	POST /mark?name=NAME   note the moment; answers with it
//	GET  /count            of the writes since the latest mark
//	POST /stop             end, and answer with the whole history
//
// It never judges what it sees.
package main
