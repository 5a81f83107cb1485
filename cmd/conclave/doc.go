// Command conclave is the command line for people and scripts: it reads and
// writes the configuration that a Conclave cluster keeps, and shows the cluster.
//
//	conclave put pay db/url --value postgres://db
//	conclave get pay db/url
//	conclave list pay
//	conclave status
//
// What was asked for goes to standard output and nothing else does, so a value
// can be piped; everything else goes to standard error. An error says what to do
// next. The exit status is 0 for success, 2 when the command line can't be carried
// out and nobody was asked, 3 when there is no such key, 4 when a condition did not
// hold, 5 when a write may or may not have been applied, and 1 for everything else.
//
// It speaks HTTP through pkg/client, as any other program may, and never touches a
// node's files. Called kubectl-conclave, it is a plugin: `kubectl conclave get`.
package main
