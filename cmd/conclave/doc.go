// Command conclave is the command line for people and scripts: it reads and
// writes the configuration that a Conclave cluster keeps, and shows the cluster.
//
//	conclave put pay db/url --value postgres://db
//	conclave get pay db/url
//	conclave list pay
//	conclave edit pay app.json
//	conclave export pay --prefix db/ --format directory --to ./db
//	conclave status
//	conclave members list --ops http://cfg-0:8402,http://cfg-1:8402,http://cfg-2:8402
//
// What was asked for goes to standard output and nothing else does, so a value
// can be piped; everything else goes to standard error. An error says what to do
// next. The exit status is
//
//	0  success
//	1  everything that is not below
//	2  the command line can't be carried out, and nobody was asked
//	3  there is no such key, or no such member
//	4  a condition did not hold: the key or the membership has changed
//	5  it isn't known whether a change was made
//	6  data on a disk is damaged, or members hold different states
//
// With --output json or yaml, what is shown to people comes in the form that
// programs read. What each command does stands in its help, conclave help COMMAND.
//
// It speaks HTTP, through pkg/client as any other program may, and through
// internal/admin with the operations ports, and never touches a node's files.
// Called kubectl-conclave, it is a plugin: `kubectl conclave get`.
package main
